"""Noise-scaled Huber loss of the residual: quadratic within a few noise standard deviations, linear beyond.

    sum_j w_j h(|A x - y|_j / sigma),    h(a) = a^2 / 2 for a < c,  c a - c^2 / 2 beyond

Huber, Ann Math Stat 1964;35:73. With w = 1 and Gaussian noise this is the negative log-likelihood, so that the weights
of the regularisers have one meaning whatever the number of coils, readouts and frames. Value and gradients, with
respect to the images and to the coil maps, are computed together a few frames at a time: no coil image is kept.
"""

from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.operators.batch import Batch

# coil image elements held at a time: what the caches of a processor hold, what keeps a graphics card busy
ELEMENTS_AT_A_TIME = {"cpu": 2**19, "cuda": 2**25}


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
        value = torch.zeros((), device=images.device)
        image_gradient, map_gradient = torch.empty_like(images), torch.zeros_like(maps)
        conjugate, fourier, first = maps.conj(), batch.operator.fourier, 0
        at_a_time = max(1, ELEMENTS_AT_A_TIME[images.device.type] // maps.numel())
        for start in range(0, len(images), at_a_time):
            chosen = range(start, min(start + at_a_time, len(images)))
            operator = fourier.select(chosen)
            last = first + sum(fourier.n_points[frame] for frame in operator.frames)
            x = images[start : start + at_a_time]
            r = operator._map(x[:, None] * maps).sub_(batch.kspace[:, first:last])
            size, w = r.abs(), weight[first:last]
            near = size.clamp(max=threshold)
            value += (w * near * (size - 0.5 * near)).sum()
            r *= w * (near / size.clamp(min=torch.finfo(size.dtype).tiny))
            gradient = operator._map_adjoint(r)
            image_gradient[start : start + at_a_time] = (gradient * conjugate).sum(1)
            if ctx.needs_input_grad[1]:
                map_gradient += (gradient * x.conj()[:, None]).sum(0)
            first = last
        ctx.save_for_backward(image_gradient, map_gradient)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        image_gradient, map_gradient = ctx.saved_tensors
        return gradients[0] * image_gradient, gradients[0] * map_gradient, None, None, None
