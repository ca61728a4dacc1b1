"""Data consistency in the NUFFT domain."""

import math
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.kernels.constant import sums_of_parts
from dainr.operators.batch import Batch, FrameData, FrameModel, RefinesCoilMaps


def residual(model: FrameModel, batch: Batch) -> Complex[Tensor, "coil point"]:
    """A x - y: predicted less measured samples of the batch, by the coil maps of a model that refines them."""
    operator = batch.operator
    if isinstance(model, RefinesCoilMaps):
        operator = operator.with_maps(model.coil_maps().detach())
    return operator(model(batch)) - batch.kspace


def residuals(model: FrameModel, data: FrameData, at_once: int = 0) -> Complex[Tensor, "coil point"]:
    """A x - y of all frames, rendered so many at a time; 0: all together."""
    n_frames = len(data.frames)
    if not 0 < at_once < n_frames:
        return residual(model, data.batch())
    parts = (range(first, min(first + at_once, n_frames)) for first in range(0, n_frames, at_once))
    return torch.cat([residual(model, data.batch(part)) for part in parts], 1)


def l1_loss(model: FrameModel, batch: Batch) -> Float[Tensor, ""]:
    """Density-weighted mean absolute error, of the real plus of the imaginary part: mean_j w_j |A x - y|_1."""
    r = residual(model, batch)
    return (batch.density * (r.real.abs() + r.imag.abs())).mean()


@torch.no_grad()
def relative_error(model: FrameModel, data: FrameData, at_once: int = 0) -> float:
    """Density-weighted root mean square residual over that of the data: by Parseval, an error in the image.

    So many frames are rendered at a time; 0: all together.
    """
    error, signal = energies(residuals(model, data, at_once), data), energies(data.kspace, data)
    return math.sqrt(error.sum() / max(signal.sum(), np.finfo(np.float32).tiny))


def energies(samples: Complex[Tensor, "coil point"], data: FrameData) -> Float[np.ndarray, " frame"]:
    """Density-weighted energy of samples at the places of the data."""
    weighted = (data.density * samples.abs().square()).sum(0)
    return sums_of_parts(weighted.double(), [b - a for a, b in pairwise(data.starts)]).cpu().numpy()
