"""Noise-scaled Huber loss of the residual: quadratic within a few noise standard deviations, linear beyond.

    sum_j w_j h(|A x - y|_j / sigma),    h(a) = a^2 / 2 for a < c,  c a - c^2 / 2 beyond

Huber, Ann Math Stat 1964;35:73. With w = 1 and Gaussian noise this is the negative log-likelihood, so that the weights
of the regularisers have one meaning whatever the number of coils, readouts and frames. Value and gradients, with
respect to the images and to the coil maps, are computed together: no coil image is kept.
"""

from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.losses.robust_cpu import huber_cpu
from dainr.operators.batch import Batch


def huber_data(
    images: Complex[Tensor, "frame y x"],
    coil_maps: Complex[Tensor, "coil y x"],
    batch: Batch,
    weight: Float[Tensor, " point"],
    noise_std: float,
    threshold: float,
) -> Float[Tensor, ""]:
    """The loss of images measured with these coil maps; `threshold` is c, in noise standard deviations."""
    return _HuberData.apply(images, coil_maps, batch, weight / noise_std**2, threshold * noise_std)


class _HuberData(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, maps: Tensor, batch: Batch, weight: Tensor, threshold: float) -> Tensor:
        fourier = batch.operator.fourier
        samples = fourier.measure(images, maps)
        value = (_huber if samples.is_cuda else huber_cpu)(samples, batch.kspace, weight, threshold)
        image_gradient, map_gradient = fourier.measure_adjoint(samples, maps, images)
        ctx.save_for_backward(image_gradient, map_gradient)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        image_gradient, map_gradient = ctx.saved_tensors
        return gradients[0] * image_gradient, gradients[0] * map_gradient, None, None, None


def _huber(samples: Tensor, kspace: Tensor, weight: Tensor, threshold: float) -> Tensor:
    """The value; the gradient of the residual takes the samples' place."""
    size = samples.sub_(kspace).abs()
    near = size.clamp(max=threshold)
    samples *= weight * (near / size.clamp(min=torch.finfo(size.dtype).tiny))
    return (weight * near * (size - 0.5 * near)).sum()
