"""Terms of an objective whose value and gradients are computed together, in one pass over their inputs."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def computed(compute: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> Float[Tensor, ""]:
    """The value of a term; `compute` gives it and its gradient with respect to each of the inputs."""
    return _Computed.apply(compute, *inputs)


class _Computed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, compute: Callable[..., tuple[Tensor, ...]], *inputs: Tensor) -> Tensor:
        value, *gradients = compute(*inputs)
        ctx.save_for_backward(*gradients)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        factor = gradients[0]
        if factor.device.type == "cpu" and factor == 1:  # a term that stands alone in a sum: no pass to multiply by one
            return None, *ctx.saved_tensors
        return None, *(factor * gradient for gradient in ctx.saved_tensors)
