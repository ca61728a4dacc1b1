"""Noise-scaled Huber loss of the residual: quadratic within a few noise standard deviations, linear beyond.

    sum_j w_j h(|A x - y|_j / sigma),    h(a) = a^2 / 2 for a < c,  c a - c^2 / 2 beyond

Huber, Ann Math Stat 1964;35:73. With w = 1 and Gaussian noise this is the negative log-likelihood, so that the weights
of the regularisers have one meaning whatever the number of coils, readouts and frames. Value and gradients, with
respect to the images and to the coil maps, are computed together: no coil image is kept.
"""

from functools import partial

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.kernels.compiling import chosen, on_cuda
from dainr.kernels.computed import computed
from dainr.kernels.huber_cpu import huber_cpu
from dainr.operators.batch import Batch


def huber_data(
    images: Complex[Tensor, "frame y x"],
    coil_maps: Complex[Tensor, "coil y x"],
    batch: Batch,
    weight: Float[Tensor, " point"],
    noise_std: float,
    threshold: float | Float[Tensor, " point"],
    squares: Float[Tensor, " point"] | None = None,
) -> Float[Tensor, ""]:
    """The loss of images measured with these coil maps; `threshold` is c, in noise standard deviations, of all points
    or of each.

    `squares` takes what is missed at each point: sum_c |A x - y|^2 / sigma^2.
    """
    if isinstance(threshold, float):
        threshold = torch.full_like(weight, threshold)
    terms = partial(_terms, batch, weight / noise_std**2, threshold * noise_std, noise_std, squares)
    return computed(terms, images, coil_maps)


def _terms(
    batch: Batch,
    weight: Tensor,
    threshold: Tensor,
    noise_std: float,
    squares: Tensor | None,
    images: Tensor,
    maps: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss and its gradients with respect to images and coil maps."""
    samples = batch.operator.measure(images, maps).contiguous()
    compute = chosen(samples.device, _huber, cpu=huber_cpu, cuda=_huber_cuda)
    value, missed = compute(samples, batch.kspace, weight, threshold)
    if squares is not None:
        torch.div(missed, noise_std**2, out=squares)
    of_images, of_maps = batch.operator.measure_adjoint(samples, maps, images)
    assert of_maps is not None
    return value, of_images, of_maps


def _huber(samples: Tensor, kspace: Tensor, weight: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """The value, and what is missed at each point; the gradient of the residual takes the samples' place."""
    size = samples.sub_(kspace).abs()
    near = size.minimum(threshold)
    samples *= weight * (near / size.clamp(min=torch.finfo(size.dtype).tiny))
    return (weight * near * (size - 0.5 * near)).sum(), size.square().sum(0)


_huber_cuda = on_cuda("huber_cuda.huber_cuda", _huber)
