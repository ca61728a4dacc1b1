"""Data consistency in the NUFFT domain."""

from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.batch import Batch, FrameModel


def residual(model: FrameModel, batch: Batch) -> Complex[Tensor, "coil point"]:
    """A x - y: predicted less measured samples of the batch."""
    return batch.operator(model(batch)) - batch.kspace


def l1_loss(model: FrameModel, batch: Batch) -> Float[Tensor, ""]:
    """Density-weighted mean absolute error, of the real plus of the imaginary part: mean_j w_j |A x - y|_1."""
    r = residual(model, batch)
    return (batch.density * (r.real.abs() + r.imag.abs())).mean()
