"""Gridding: the density-compensated adjoint, frame by frame and as the average over time."""

import torch
from jaxtyping import Complex
from torch import Tensor

from dainr.operators.batch import FrameData


@torch.no_grad()
def grid_frames(data: FrameData) -> Complex[Tensor, "frame y x"]:
    """The gridded frames A^H W y, brought to the scale of the data by least squares, one factor for the series."""
    images = data.operator.adjoint(data.kspace * data.density)
    return images * _least_squares_factor(images, data).abs()


@torch.no_grad()
def grid_average(data: FrameData) -> Complex[Tensor, "y x"]:
    """The time average gridded from the readouts of all frames together, brought to the scale of the data."""
    average = data.operator.adjoint(data.kspace * data.density).sum(0)
    series = average.expand(len(data.frames), *average.shape)
    return average * _least_squares_factor(series, data)


def _least_squares_factor(images: Tensor, data: FrameData) -> Tensor:
    predicted = data.operator(images)
    weighted = (data.density * predicted).conj()
    return (weighted * data.kspace).sum() / (weighted * predicted).sum().real.clamp(min=torch.finfo().tiny)
