"""DA-INR: a deformation field and a canonical field fitted to one scan alone, in two forms.

    warped      x(r, t) = C(r + D(r, t), t), canonical space rendered once a step and warped to all frames; see
                fields/warped.py and losses/objective.py
    pointwise   x(r, t) = C(r + D(r, t), t, f(r, t)), min sum_j w_j | (A x)_j - y_j |_1, one frame a step: as published

Baik & Yoo, MICCAI 2025, arXiv 2501.09049. Slices are fitted in turn.
"""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dainr.cine import Cine
from dainr.fields.field import DynamicField
from dainr.fields.grid import choose_grid
from dainr.fields.warped import WarpedCine
from dainr.fit.state import Checkpoint, FitState, Observer, RunState
from dainr.losses import frame_energies
from dainr.machine import disk
from dainr.machine.device import resolve_device
from dainr.machine.memory import give_freed_memory_back
from dainr.methods.common import frames_that_fit, resolve_common
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.start import build_pointwise, build_warped, start_fit, start_warped
from dainr.methods.recon import Recon, put_away
from dainr.methods.slices import end_slice
from dainr.networks.condition import FeatureMaps
from dainr.networks.restorer import Restorer
from dainr.networks.weights import load_mdsr
from dainr.operators.batch import FrameData
from dainr.operators.gridding import grid_average, grid_frames
from dainr.prepare import Prepared, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.scan import Scan

log = logging.getLogger(__name__)


class Dainr:
    """The neural field, fitted slice by slice."""

    Config = DainrConfig
    about = "deformation and canonical neural field fitted to the scan alone; continuous in space and time"

    def resolve(self, scan: Scan, config: DainrConfig) -> tuple[DainrConfig, dict[str, Any]]:
        """Device, NUFFT and grid backend decided. Raises MissingBackend for one that is named and not here."""
        config, record = resolve_common(scan, config)
        if config.prior == "mdsr":
            network = load_mdsr(config.mdsr_weights, config.seed)
            if config.field == "warped":
                Restorer(network, cyclic=False)
        if config.field == "warped":
            shown = scan.n_frames * config.subframes
            at_once = config.fit.frames_at_once or frames_that_fit(scan, torch.device(config.device), config.subframes)
            if at_once < shown:
                log.info("memory: %d of %d frames are rendered at once", at_once, shown)
            return replace(config, fit=replace(config.fit, frames_at_once=at_once)), record
        grid = choose_grid(config.grid, config.canonical.table, torch.device(config.device))
        if config.deformation.encoding == "hash":
            choose_grid(grid, config.deformation.table, torch.device(config.device))
        return replace(config, grid=grid), record  # type: ignore[arg-type]

    def __call__(
        self,
        scan: Scan,
        config: DainrConfig,
        observers: Sequence[Observer] = (),
        resume: RunState | None = None,
    ) -> Recon:
        """Fit every slice and render the cine at the frames of the scan from the states the held-out readouts chose.

        Raises Diverged. An observer that returns False ends the run after the step in progress; slices not fitted by
        then are left out of the result.
        """
        resume = resume or RunState()
        fits, started = [], time.perf_counter()
        images = disk.zeros((scan.n_slices, scan.n_frames, *scan.matrix), np.complex64)
        gridded = disk.zeros(images.shape, np.float32)
        for index in range(scan.n_slices):
            fits.append(_fit_slice(scan, index, config, observers, resume, gridded[index]))
            images[index] = fits[-1].scale * render_series(fits[-1].model)
            put_away(fits[-1].model)
            end_slice(images[index], gridded[index])
            if fits[-1].state.stopped == "interrupted":
                break
        record = {
            "slices": [f.record for f in fits],
            "parameters": sum(p.numel() for p in fits[0].model.parameters()),
            "seconds": {
                "total": time.perf_counter() - started,
                "fit": sum(f.state.seconds for f in fits),
                "prepare": sum(f.prepare_seconds for f in fits),
            },
        }
        times = fits[0].model.frame_times.cpu().numpy()
        return Recon(
            method="dainr",
            cine=Cine(images[: len(fits)], times, scan.fov_mm, scan.slice_thickness_mm, scan.affine),
            record=record,
            gridded=gridded[: len(fits)],
            fields=tuple(f.model for f in fits),
            scales=tuple(f.scale for f in fits),
            histories=tuple(f.state for f in fits),
        )

    def restore(
        self,
        config: DainrConfig,
        matrix: tuple[int, int],
        finished: Mapping[int, Checkpoint],
        features: Mapping[str, Tensor],
    ) -> tuple[DynamicField, ...]:
        """The fields a run saved; a grid fitted by tiny-cuda-nn continues in torch, their layout is the same."""
        fields = []
        for index in sorted(finished):
            tensors = finished[index].tensors
            maps = FeatureMaps(features[f"maps.{index}"]) if f"maps.{index}" in features else None
            here, times = replace(config, device="cpu", grid="native"), tensors["frame_times"].tolist()
            if config.field == "warped":
                no_maps = torch.zeros(len(tensors["coil_correction"]) // 2, *matrix, dtype=torch.complex64)
                model: DynamicField = build_warped(here, times, matrix, no_maps, bool(tensors["is_cyclic"]))
            else:
                model = build_pointwise(here, times, matrix, maps)
            model.load_state_dict(tensors)
            fields.append(model.eval())
        return tuple(fields)


@dataclass(frozen=True, eq=False)
class _SliceFit:
    model: DynamicField
    state: FitState
    scale: float
    record: dict[str, Any]
    prepare_seconds: float


def render_series(model: DynamicField) -> np.ndarray:
    """The series at its own frames and matrix, `frame y x`, in the units of the fit."""
    with torch.no_grad():
        return model.render(model.frame_times.tolist(), model.matrix).cpu().numpy()


def _fit_slice(
    scan: Scan,
    index: int,
    config: DainrConfig,
    observers: Sequence[Observer],
    resume: RunState,
    shown: Float[np.ndarray, "frame y x"],
) -> _SliceFit:
    """Fit a slice; `shown` takes the magnitudes of its gridded frames."""
    started = time.perf_counter()
    device = resolve_device(config.device)
    prepared = prepare_slice(scan, index, config.prepare, config.seed)
    log.info("slice %d: noise from the %s", index, prepared.record["noise_from"])
    log.info("slice %d: coil maps %s", index, prepared.record["coil_maps"])
    if "gradient_delays_samples" in prepared.record:
        log.info("slice %d: gradient delays corrected", index)
    if "outside_energy" in prepared.record:
        log.info("slice %d: still signal outside the field of view taken out", index)
    binned = frame_data(prepared, ~prepared.held_out, config.nufft, device)
    gridded = grid_frames(binned)
    shown[:] = (prepared.scale * gridded.abs()).cpu().numpy()
    subframes = (config.nufft, device, config.subframes)
    data = binned if config.subframes == 1 else frame_data(prepared, ~prepared.held_out, *subframes)
    heldout = frame_data(prepared, prepared.held_out, *subframes) if prepared.held_out.any() else None
    fit = start_fit(config, prepared, data, heldout, gridded, (index, scan.n_slices))
    model = fit.model
    assert isinstance(model, DynamicField)
    done = resume.finished.get(index)
    if done:
        fit.best, fit.state = done.tensors, done.state
    elif resume.current and resume.current[0] == index:
        fit.restore(resume.current[1])
    elif isinstance(model, WarpedCine):
        start_warped(model, config, prepared, grid_average(binned))
    prepare_seconds = time.perf_counter() - started
    give_freed_memory_back()  # what preparing took
    if not done:
        fit.run(observers)
    if fit.best:
        model.load_state_dict(fit.best)
    model.zero_grad(set_to_none=True)
    record = {"prepare": prepared.record, "fit": _summary(fit.state, model, data, heldout, prepared)}
    return _SliceFit(model, fit.state, prepared.scale, record, prepare_seconds)


def _frame_errors(error: np.ndarray, signal: np.ndarray, frames: Sequence[float]) -> list[float]:
    """Relative errors of the frames, over the subframes of each; where a frame has no signal, of a tenth of others'."""
    number = np.unique(np.round(frames), return_inverse=True)[1]
    wrong, measured = (np.bincount(number, energies) for energies in (error, signal))
    return np.sqrt(wrong / np.maximum(measured, 0.01 * np.median(measured))).round(5).tolist()


def _summary(
    state: FitState, model: DynamicField, data: FrameData, heldout: FrameData | None, prepared: Prepared
) -> dict[str, Any]:
    """How well the chosen state explains the readouts it saw and those it did not, and what noise alone would leave."""
    error, signal = frame_energies(model, data)
    noise = float(data.density.sum()) * len(data.kspace) * prepared.noise_std**2
    with torch.no_grad():
        moved = [model.displacement(float(f), prepared.matrix).norm(dim=1) for f in range(len(prepared.frame_times))]
    summary = {
        "steps": state.step,
        "stopped": state.stopped,
        "best_step": state.best_step,
        "seconds": state.seconds,
        "in_sample_error": math.sqrt(error.sum() / signal.sum()),
        "noise_error": math.sqrt(noise / signal.sum()),
        "frame_errors": _frame_errors(error, signal, data.frames),
        "largest_displacement_pixels": round(max(float(m.kthvalue(math.ceil(0.99 * len(m))).values) for m in moved), 2),
        "validations": [asdict(v) for v in state.validations],
    }
    if heldout is not None:
        error, signal = frame_energies(model, heldout)
        noise = float(heldout.density.sum()) * len(heldout.kspace) * prepared.noise_std**2
        summary["heldout_error"] = math.sqrt(error.sum() / signal.sum())
        summary["heldout_noise_error"] = math.sqrt(noise / signal.sum())
    return summary
