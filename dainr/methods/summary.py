"""How well a fitted slice explains the readouts it saw and those it did not, and what noise alone would leave."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from dainr.assess.image_error import Fitted, Residuals, image_error
from dainr.fields.field import DynamicField
from dainr.fit.state import FitState
from dainr.losses import energies, residuals
from dainr.operators.batch import FrameData, FrameModel, RefinesCoilMaps
from dainr.prepare import Prepared
from dainr.prepare.frame_data import readouts_in_order


def _frame_errors(error: np.ndarray, signal: np.ndarray, frames: Sequence[float]) -> list[float]:
    """Relative errors of the frames, over the subframes of each; where a frame has no signal, of a tenth of others'."""
    number = np.unique(np.round(frames), return_inverse=True)[1]
    wrong, measured = (np.bincount(number, energies) for energies in (error, signal))
    return np.sqrt(wrong / np.maximum(measured, 0.01 * np.median(measured))).round(5).tolist()


@torch.no_grad()
def summary(
    state: FitState,
    model: FrameModel,
    images: Complex[Tensor, "frame y x"],
    data: FrameData,
    heldout: FrameData | None,
    prepared: Prepared,
    subframes: int = 1,
    at_once: int = 0,
) -> dict[str, Any]:
    """How well the chosen state explains the readouts it saw and those it did not, and what noise alone would leave.

    `images` are its own at the frames of the scan, which are rendered so many at a time (0: all together). With
    held-out readouts also the error these make expect.
    """
    seen = residuals(model, data, at_once)
    error, signal = energies(seen, data), energies(data.kspace, data)
    noise = float(data.density.sum()) * len(data.kspace) * prepared.noise_std**2
    found = {
        "steps": state.step,
        "stopped": state.stopped,
        "best_step": state.best_step,
        "seconds": state.seconds,
        "in_sample_error": math.sqrt(error.sum() / signal.sum()),
        "noise_error": math.sqrt(noise / signal.sum()),
        "frame_errors": _frame_errors(error, signal, data.frames),
        "validations": [asdict(v) for v in state.validations],
    }
    if isinstance(model, DynamicField):
        found["largest_displacement_pixels"] = _largest_displacement(model, prepared)
    if state.frames_at_once:
        found["frames_at_once"] = state.frames_at_once  # for memory ran out
    if heldout is not None:
        unseen = residuals(model, heldout, at_once)
        error, signal = energies(unseen, heldout), energies(heldout.kspace, heldout)
        noise = float(heldout.density.sum()) * len(heldout.kspace) * prepared.noise_std**2
        found["heldout_error"] = math.sqrt(error.sum() / signal.sum())
        found["heldout_noise_error"] = math.sqrt(noise / signal.sum())
        found |= _image_error(model, images, (data, seen), (heldout, unseen), prepared, subframes, at_once)
    return found


def _largest_displacement(model: DynamicField, prepared: Prepared) -> float:
    """What 99 % of the pixels stay below in the frame that moves most, in pixels."""
    frames = range(len(prepared.frame_times))
    moved = [model.displacement([float(f)], prepared.matrix).norm(dim=1).flatten() for f in frames]
    return round(max(float(m.kthvalue(math.ceil(0.99 * len(m))).values) for m in moved), 2)


def _image_error(
    model: FrameModel,
    images: Tensor,
    seen: tuple[FrameData, Tensor],
    unseen: tuple[FrameData, Tensor],
    prepared: Prepared,
    subframes: int,
    at_once: int,
) -> dict[str, Any]:
    """The expected error of the images; see dainr/assess/image_error.py."""
    maps = model.coil_maps().cpu().numpy() if isinstance(model, RefinesCoilMaps) else prepared.coil_maps
    fitted = Fitted(images.cpu().numpy(), maps, prepared.noise_std, prepared.cartesian)

    def of_readouts(data: FrameData, samples: Tensor, readouts: np.ndarray) -> Residuals:
        chosen = readouts_in_order(prepared, readouts, subframes)
        trajectory = prepared.trajectory[chosen]
        n_coils, shape = len(prepared.kspace), trajectory.shape[:2]
        change = None
        if prepared.frame_position is not None:
            number = np.repeat(data.frames, np.diff(data.starts) // shape[1])  # at which each readout was predicted
            since = (prepared.frame_position[chosen] - number).astype(np.float32)
            rate = _change(model, images, data, prepared, at_once)
            change = rate.cpu().numpy().reshape(n_coils, *shape) * since[:, None]
        by_readout = samples.cpu().numpy().reshape(n_coils, *shape)
        return Residuals(by_readout, trajectory, prepared.density[chosen], prepared.frame[chosen], change)

    return image_error(fitted, of_readouts(*seen, ~prepared.held_out), of_readouts(*unseen, prepared.held_out))


def _change(
    model: FrameModel, images: Tensor, data: FrameData, prepared: Prepared, at_once: int
) -> Complex[Tensor, "coil point"]:
    """By how much the samples of the data change in a frame's time, from the frames before and after."""
    around = (images.roll(-1, 0) - images.roll(1, 0)) / 2
    rate = around if prepared.cyclic else torch.gradient(images, dim=0)[0]
    size, parts = at_once or len(data.frames), []
    for first in range(0, len(data.frames), size):
        batch = data.batch(range(first, min(first + size, len(data.frames))))
        operator = batch.operator.with_maps(model.coil_maps()) if isinstance(model, RefinesCoilMaps) else batch.operator
        nearest = np.clip(np.rint(batch.frames), 0, len(images) - 1).astype(int)
        parts.append(operator(rate[nearest.tolist()]))
    return torch.cat(parts, 1)
