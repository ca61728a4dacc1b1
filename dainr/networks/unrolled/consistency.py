"""Data consistency of an unrolled network: a step, or a solve, that draws the images towards what was measured.

    gradient    x - eta (G x - b)              with eta = 1, sum |S|^2 = 1 and lines on the grid: x + A^H (y - A x)
    proximal    argmin |A z - y|^2_W + mu |z - x|^2,   that is  (G + mu) z = b + mu x

Both hold for lines, spokes and any trajectory. eta and mu are learned.
"""

import math
from typing import Any, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from dainr.operators.linear import LinearOperator
from dainr.operators.measured import Measured

Kind = Literal["gradient", "proximal"]


class GradientStep(nn.Module):
    """x - eta (G x - b), eta learned."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Complex[Tensor, "frame y x"], measured: Measured) -> Complex[Tensor, "frame y x"]:
        """A step towards the measurement."""
        return x - self.step * (measured.gram(x) - measured.rhs)


class ProximalStep(nn.Module):
    """(G + mu)^-1 (b + mu x) by conjugate gradients, mu learned by its logarithm."""

    def __init__(self, iterations: int = 8, mu: float = 0.1) -> None:
        super().__init__()
        self.iterations = iterations
        self.log_mu = nn.Parameter(torch.tensor(math.log(mu)))

    def forward(self, x: Complex[Tensor, "frame y x"], measured: Measured) -> Complex[Tensor, "frame y x"]:
        """The images nearest to both."""
        mu = self.log_mu.exp()
        return _Solve.apply(measured.rhs + mu * x, mu, measured.gram, self.iterations)


class NoStep(nn.Module):
    """x as it is."""

    def forward(self, x: Complex[Tensor, "frame y x"], measured: Measured) -> Complex[Tensor, "frame y x"]:
        """The same images."""
        return x


def make_consistency(kind: Kind) -> nn.Module:
    """The consistency of one cascade."""
    return GradientStep() if kind == "gradient" else ProximalStep()


class _Solve(torch.autograd.Function):
    """x = (G + mu)^-1 r. With v = (G + mu)^-1 of the gradient: that of r is v, that of mu is -Re <v, x>."""

    @staticmethod
    def forward(ctx: Any, r: Tensor, mu: Tensor, gram: LinearOperator, iterations: int) -> Tensor:
        x = _solve(gram, mu, r, iterations)
        ctx.gram, ctx.iterations = gram, iterations
        ctx.save_for_backward(x, mu)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, mu = ctx.saved_tensors
        v = _solve(ctx.gram, mu, gradients[0], ctx.iterations)
        return v, -(v.conj() * x).real.sum(), None, None


@torch.no_grad()
def _solve(gram: LinearOperator, mu: Float[Tensor, ""], r: Tensor, iterations: int) -> Complex[Tensor, "frame y x"]:
    """Conjugate gradients from zero; every frame takes its own steps."""
    tiny = torch.finfo(torch.float32).tiny

    def inner(a: Tensor, b: Tensor) -> Tensor:
        return (a.conj() * b).real.sum((1, 2), keepdim=True)

    x, residual, direction = torch.zeros_like(r), r, r
    squared = inner(r, r)
    for _ in range(iterations):
        moved = gram(direction) + mu * direction
        step = squared / inner(direction, moved).clamp(min=tiny)
        x, residual = x + step * direction, residual - step * moved
        last, squared = squared, inner(residual, residual)
        direction = residual + squared / last.clamp(min=tiny) * direction
    return x
