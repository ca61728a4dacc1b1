"""DA-INR: a deformation field and a canonical field fitted to one scan alone, in two forms.

    warped      x(r, t) = C(r + D(r, t), t), canonical space rendered once a step and warped to all frames; see
                fields/warped.py and losses/objective.py
    pointwise   x(r, t) = C(r + D(r, t), t, f(r, t)), min sum_j w_j | (A x)_j - y_j |_1, one frame a step: as published

Baik & Yoo, MICCAI 2025, arXiv 2501.09049. Slices are fitted in turn.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dainr.errors import BadRequest
from dainr.features.maps import FeatureMaps, mdsr_features
from dainr.features.mdsr import load_mdsr
from dainr.fields.canonical import CanonicalConfig
from dainr.fields.cine import CineField
from dainr.fields.deformation import DeformationConfig
from dainr.fields.field import DynamicField
from dainr.fields.grid import choose_grid
from dainr.fields.warped import WarpedCine, WarpedConfig, enlarge
from dainr.fit import Checkpoint, Fit, FitConfig, FitState, Observer
from dainr.losses import Loss, frame_energies, l1_loss
from dainr.losses.objective import Objective, ObjectiveConfig
from dainr.methods.common import (
    MethodConfig,
    RunState,
    closes_cycle,
    frame_data,
    frames_that_fit,
    grid_average,
    grid_frames,
    resolve_common,
    resolve_device,
)
from dainr.operators.batch import FrameData
from dainr.prepare import Prepared, prepare_slice
from dainr.prepare.coarse import halve
from dainr.recon import Recon
from dainr.scan import Cine, Scan

log = logging.getLogger(__name__)

# settings that only one form of the field has
WARPED = ("cyclic", "start_steps", "coarse_steps", "warped", "objective")
POINTWISE = ("grid", "features", "mdsr_weights", "deformation", "canonical")


@dataclass(frozen=True)
class DainrConfig(MethodConfig):
    """Settings of the fit and of the two forms of the field; those of the form not in use stay at their defaults."""

    field: Literal["warped", "pointwise"] = "warped"
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    # of the warped field
    cyclic: Literal["auto", "yes", "no"] = "auto"  # whether the last frame leads to the first; auto: binning or data
    start_steps: int = 60  # least-squares steps that bring the canonical image to the time average
    coarse_steps: int = 80  # steps at half the resolution before the fit proper
    warped: WarpedConfig = dataclasses.field(default_factory=WarpedConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    # of the pointwise field
    grid: Literal["auto", "native", "tinycudann"] = "auto"
    features: Literal["none", "mdsr"] = "none"
    mdsr_weights: str = "random"  # a checkpoint's path, or "random": drawn from the seed
    deformation: DeformationConfig = dataclasses.field(default_factory=DeformationConfig)
    canonical: CanonicalConfig = dataclasses.field(default_factory=CanonicalConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        foreign = POINTWISE if self.field == "warped" else WARPED
        defaults = {f.name: f for f in dataclasses.fields(self)}
        for name in foreign:
            f = defaults[name]
            default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
            if getattr(self, name) not in (default, "native"):
                raise BadRequest(
                    f"setting {name}",
                    f"the {self.field} field has no such part",
                    f"leave it out, or set field={'pointwise' if self.field == 'warped' else 'warped'}",
                )
        if min(self.start_steps, self.coarse_steps) < 0:
            raise BadRequest("start_steps, coarse_steps", "a number of steps is negative", "choose 0 or more")


class Dainr:
    """The neural field, fitted slice by slice."""

    Config = DainrConfig
    about = "deformation and canonical neural field fitted to the scan alone; continuous in space and time"

    def resolve(self, scan: Scan, config: DainrConfig) -> tuple[DainrConfig, dict[str, Any]]:
        """Device, NUFFT and grid backend decided. Raises MissingBackend for one that is named and not here."""
        config, record = resolve_common(scan, config)
        if config.field == "warped":
            at_once = config.fit.frames_at_once or frames_that_fit(scan, torch.device(config.device))
            if at_once < scan.n_frames:
                log.info("memory: %d of %d frames are rendered at once", at_once, scan.n_frames)
            return replace(config, fit=replace(config.fit, frames_at_once=at_once)), record
        grid = choose_grid(config.grid, config.canonical.table, torch.device(config.device))
        if config.deformation.encoding == "hash":
            choose_grid(grid, config.deformation.table, torch.device(config.device))
        if config.features == "mdsr":
            load_mdsr(config.mdsr_weights, config.seed)
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
        for index in range(scan.n_slices):
            fits.append(_fit_slice(scan, index, config, observers, resume))
            if fits[-1].state.stopped == "interrupted":
                break
        images = np.stack([f.scale * render_series(f.model) for f in fits])
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
            cine=Cine(images.astype(np.complex64), times, scan.fov_mm, scan.slice_thickness_mm, scan.affine),
            record=record,
            gridded=np.stack([f.gridded for f in fits]),
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
    gridded: Float[np.ndarray, "frame y x"]
    record: dict[str, Any]
    prepare_seconds: float


def build_pointwise(
    config: DainrConfig, frame_times: Sequence[float], matrix: tuple[int, int], features: FeatureMaps | None
) -> CineField:
    """The published field of one slice, drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = CineField(config.deformation, config.canonical, config.grid, frame_times, matrix, features)
    return model.to(config.device)


def build_warped(
    config: DainrConfig,
    frame_times: Sequence[float],
    matrix: tuple[int, int],
    coil_maps: Tensor,
    cyclic: bool,
    finest: int = 0,
) -> WarpedCine:
    """The warped field of one slice, drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = WarpedCine(config.warped, frame_times, matrix, coil_maps, cyclic, finest)
    return model.to(config.device)


def render_series(model: DynamicField) -> np.ndarray:
    """The series at its own frames and matrix, `frame y x`, in the units of the fit."""
    with torch.no_grad():
        return model.render(model.frame_times.tolist(), model.matrix).cpu().numpy()


def start_fit(
    config: DainrConfig, prepared: Prepared, data: FrameData, heldout: FrameData | None, place: tuple[int, int]
) -> Fit:
    """Model and loss of one slice, ready to run."""
    times, device = prepared.frame_times.tolist(), torch.device(config.device)
    if config.field == "pointwise":
        features = None
        if config.features == "mdsr":
            log.info("slice %d: features of %d frames, MDSR weights %s", place[0], len(times), config.mdsr_weights)
            features = mdsr_features(load_mdsr(config.mdsr_weights, config.seed).to(device), grid_frames(data).abs())
        model: DynamicField = build_pointwise(config, times, prepared.matrix, features)
        loss: Loss = l1_loss
    else:
        known = {"yes": True, "no": False, "auto": prepared.cyclic}[config.cyclic]
        cyclic = closes_cycle(grid_frames(data)) if known is None else known
        log.info("slice %d: %s", place[0], "one cycle, its end joined to its start" if cyclic else "no closed cycle")
        maps = torch.from_numpy(prepared.coil_maps).to(device)
        model = warped = build_warped(config, times, prepared.matrix, maps, cyclic)
        start_warped(warped, config, prepared, grid_average(data))
        loss = Objective(config.objective, prepared.noise_std)
    return Fit(model, loss, data, heldout, config.fit, config.seed, place)


def start_warped(model: WarpedCine, config: DainrConfig, prepared: Prepared, average: Tensor) -> None:
    """Bring a field near its scan: canonical image from the time average, the rest from half the resolution."""
    maps = torch.zeros(config.warped.maps, *prepared.matrix, dtype=average.dtype, device=average.device)
    maps[0] = average
    coarse = halve(prepared) if config.coarse_steps else None
    if coarse is not None:
        device = average.device
        data = frame_data(coarse, ~coarse.held_out, config.nufft, device)
        coils, times = torch.from_numpy(coarse.coil_maps).to(device), coarse.frame_times.tolist()
        small = build_warped(config, times, coarse.matrix, coils, model.cyclic, max(model.matrix))
        coarse_average = grid_average(data)
        coarse_maps = maps.new_zeros(len(maps), *coarse.matrix)
        coarse_maps[0] = coarse_average
        small.start_from(coarse_maps, config.start_steps)
        course = replace(config.fit, iterations=config.coarse_steps, budget_s=0.0, validate_every=config.coarse_steps)
        Fit(small, Objective(config.objective, coarse.noise_std), data, None, course, config.seed).run()
        model.continue_from(small)
        with torch.no_grad():
            maps = enlarge(small.canonical_maps(coarse.matrix), model.matrix)
            maps[0] += average - enlarge(coarse_average[None], model.matrix)[0]
    model.start_from(maps, config.start_steps)


def _fit_slice(
    scan: Scan, index: int, config: DainrConfig, observers: Sequence[Observer], resume: RunState
) -> _SliceFit:
    started = time.perf_counter()
    device = resolve_device(config.device)
    prepared = prepare_slice(scan, index, config.prepare, config.seed)
    log.info("slice %d: noise from the %s", index, prepared.record["noise_from"])
    log.info("slice %d: coil maps %s", index, prepared.record["coil_maps"])
    data = frame_data(prepared, ~prepared.held_out, config.nufft, device)
    heldout = frame_data(prepared, prepared.held_out, config.nufft, device) if prepared.held_out.any() else None
    gridded = grid_frames(data).abs()
    fit = start_fit(config, prepared, data, heldout, (index, scan.n_slices))
    prepare_seconds = time.perf_counter() - started
    if index in resume.finished:
        fit.best, fit.state = resume.finished[index].tensors, resume.finished[index].state
    else:
        if resume.current and resume.current[0] == index:
            fit.restore(resume.current[1])
        fit.run(observers)
    model = fit.model
    assert isinstance(model, DynamicField)
    if fit.best:
        model.load_state_dict(fit.best)
    record = {"prepare": prepared.record, "fit": _summary(fit.state, model, data, heldout, prepared)}
    return _SliceFit(
        model, fit.state, prepared.scale, (prepared.scale * gridded).cpu().numpy(), record, prepare_seconds
    )


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
        "frame_errors": [round(math.sqrt(e / s), 5) for e, s in zip(error, signal, strict=True)],
        "largest_displacement_pixels": round(max(float(m.kthvalue(math.ceil(0.99 * len(m))).values) for m in moved), 2),
        "validations": [asdict(v) for v in state.validations],
    }
    if heldout is not None:
        error, signal = frame_energies(model, heldout)
        noise = float(heldout.density.sum()) * len(heldout.kspace) * prepared.noise_std**2
        summary["heldout_error"] = math.sqrt(error.sum() / signal.sum())
        summary["heldout_noise_error"] = math.sqrt(noise / signal.sum())
    return summary
