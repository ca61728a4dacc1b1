"""How well a fitted slice explains the readouts it saw and those it did not, and what noise alone would leave."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from dainr.fields.field import DynamicField
from dainr.fit.state import FitState
from dainr.losses import frame_energies
from dainr.operators.batch import FrameData
from dainr.prepare import Prepared


def _frame_errors(error: np.ndarray, signal: np.ndarray, frames: Sequence[float]) -> list[float]:
    """Relative errors of the frames, over the subframes of each; where a frame has no signal, of a tenth of others'."""
    number = np.unique(np.round(frames), return_inverse=True)[1]
    wrong, measured = (np.bincount(number, energies) for energies in (error, signal))
    return np.sqrt(wrong / np.maximum(measured, 0.01 * np.median(measured))).round(5).tolist()


def summary(
    state: FitState, model: DynamicField, data: FrameData, heldout: FrameData | None, prepared: Prepared
) -> dict[str, Any]:
    """How well the chosen state explains the readouts it saw and those it did not, and what noise alone would leave."""
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
    return found
