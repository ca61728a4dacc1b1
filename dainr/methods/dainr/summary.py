"""How well a fitted slice explains the readouts it saw and those it did not, and what noise alone would leave."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from dainr.assess.image_error import Fitted, Residuals, image_error
from dainr.fields.field import DynamicField
from dainr.fit.state import FitState
from dainr.losses import frame_energies
from dainr.losses.data import residual
from dainr.operators.batch import FrameData, RefinesCoilMaps
from dainr.prepare import Prepared
from dainr.prepare.frame_data import readouts_in_order


def _frame_errors(error: np.ndarray, signal: np.ndarray, frames: Sequence[float]) -> list[float]:
    """Relative errors of the frames, over the subframes of each; where a frame has no signal, of a tenth of others'."""
    number = np.unique(np.round(frames), return_inverse=True)[1]
    wrong, measured = (np.bincount(number, energies) for energies in (error, signal))
    return np.sqrt(wrong / np.maximum(measured, 0.01 * np.median(measured))).round(5).tolist()


def summary(
    state: FitState,
    model: DynamicField,
    data: FrameData,
    heldout: FrameData | None,
    prepared: Prepared,
    subframes: int = 1,
) -> dict[str, Any]:
    """How well the chosen state explains the readouts it saw and those it did not, and what noise alone would leave.

    With held-out readouts also the error of its images that these make expect.
    """
    error, signal = frame_energies(model, data)
    noise = float(data.density.sum()) * len(data.kspace) * prepared.noise_std**2
    with torch.no_grad():
        frames = range(len(prepared.frame_times))
        moved = [model.displacement([float(f)], prepared.matrix).norm(dim=1).flatten() for f in frames]
    found = {
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
        found["heldout_error"] = math.sqrt(error.sum() / signal.sum())
        found["heldout_noise_error"] = math.sqrt(noise / signal.sum())
        found |= _image_error(model, data, heldout, prepared, subframes)
    return found


@torch.no_grad()
def _image_error(
    model: DynamicField, data: FrameData, heldout: FrameData, prepared: Prepared, subframes: int
) -> dict[str, Any]:
    """The expected error of the images; see dainr/assess/image_error.py."""
    images = model.render(model.frame_times.tolist(), prepared.matrix).cpu().numpy()
    maps = model.coil_maps().cpu().numpy() if isinstance(model, RefinesCoilMaps) else prepared.coil_maps
    fitted = Fitted(images, maps, prepared.noise_std, prepared.cartesian)

    def residuals(of: FrameData, readouts: np.ndarray) -> Residuals:
        chosen = readouts_in_order(prepared, readouts, subframes)
        samples = residual(model, of.batch()).cpu().numpy()
        trajectory = prepared.trajectory[chosen]
        return Residuals(samples.reshape(-1, *trajectory.shape[:2]), trajectory, prepared.density[chosen])

    return image_error(fitted, residuals(data, ~prepared.held_out), residuals(heldout, prepared.held_out))
