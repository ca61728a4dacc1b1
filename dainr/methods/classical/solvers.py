"""Solvers of the classical methods: preconditioned conjugate gradients, and ADMM around them.

ADMM for min_x 1/2 |A x - y|^2 + mu/2 |x|^2 + g(K x), with the multiplier b scaled by the penalty rho (Boyd et al.,
Found Trends Mach Learn 2011;3:1):

    (A^H A + mu + rho K^H K) x = A^H y + rho K^H (z - b),    z <- prox_{g/rho}(K x + b),    b <- b + K x - z

The first is a linear system and takes a few preconditioned conjugate gradients from the x before. The preconditioner is
circulant in space: A^H A is close to a convolution, whose transfer function is the density of the samples on the grid.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.methods.classical.iterations import Iterate
from dainr.methods.slices import Slice
from dainr.prepare import Prepared

INNER_ITERATIONS = 8  # of conjugate gradients in a step of ADMM

Linear = Callable[[Tensor], Tensor]


def conjugate_gradients(
    apply: Linear, b: Complex[Tensor, "frame y x"], precondition: Linear, each_frame: bool
) -> Iterator[tuple[Complex[Tensor, "frame y x"], Complex[Tensor, "frame y x"]]]:
    """Iterates x, from zero, and residuals b - G x of G x = b, for G Hermitian and positive (semi)definite.

    `each_frame`: G is block diagonal over the frames, and every frame takes its own steps, as if it were alone.
    """
    dims = (1, 2) if each_frame else (0, 1, 2)
    tiny = torch.finfo(torch.float32).tiny

    def inner(p: Tensor, q: Tensor) -> Tensor:
        return (p.conj() * q).real.sum(dims, keepdim=True)

    x, r, z = torch.zeros_like(b), b, precondition(b)
    q, rz = z, inner(r, z)
    while True:
        g = apply(q)
        step = rz / inner(q, g).clamp(min=tiny)
        x, r = x + step * q, r - step * g
        yield x, r
        z, last = precondition(r), rz
        rz = inner(r, z)
        q = z + rz / last.clamp(min=tiny) * q


class Splitting(Protocol):
    """K and g of ADMM. K^H K acts on the frames alone: a real symmetric matrix, given by its eigenvectors `modes`."""

    rho: float
    modes: Float[Tensor, "frame mode"]
    eigenvalues: Float[Tensor, " mode"]

    def first(self, x: Complex[Tensor, "frame y x"]) -> Tensor:
        """A first z, from the images to start with."""
        ...

    def parts(self, x: Tensor, target: Tensor) -> Tensor:
        """K x of the x that is nearest to the target z - b."""
        ...

    def adjoint(self, parts: Tensor) -> Complex[Tensor, "frame y x"]:
        """K^H."""
        ...

    def shrink(self, parts: Tensor) -> Tensor:
        """The proximal map of g / rho."""
        ...

    def cost(self, parts: Tensor) -> float:
        """The value of g."""
        ...


def admm(part: Slice, splitting: Splitting, ridge: float, start: Complex[Tensor, "frame y x"]) -> Iterator[Iterate]:
    """Iterates of ADMM; their residual is the relative change of the images."""
    mu = ridge * part.prepared.noise_std**2
    data, rho, modes = part.data, splitting.rho, splitting.modes.to(start.dtype)
    penalty = mu + rho * splitting.eigenvalues[:, None, None]
    weight = sampling_density(part.prepared).to(start.device) + penalty

    def over_modes(x: Tensor, factor: Tensor) -> Tensor:
        return torch.tensordot(modes, factor * torch.tensordot(modes.mT, x, 1), 1)

    def apply(x: Tensor) -> Tensor:
        return data.operator.adjoint(data.operator(x)) + over_modes(x, penalty)

    def precondition(x: Tensor) -> Tensor:
        return torch.fft.ifft2(over_modes(torch.fft.fft2(x), 1 / weight))

    x, misfit = start, data.kspace - data.operator(start)
    z = splitting.first(x)
    b = torch.zeros_like(z)
    while True:
        right = data.operator.adjoint(misfit) + rho * splitting.adjoint(z - b) - over_modes(x, penalty)
        steps = conjugate_gradients(apply, right, precondition, each_frame=False)
        change, _ = next(itertools.islice(steps, INNER_ITERATIONS - 1, None))
        x = x + change
        parts = splitting.parts(x, z - b)
        z = splitting.shrink(parts + b)
        b = b + parts - z
        misfit = data.kspace - data.operator(x)
        objective = half_square(misfit) + mu * half_square(x) + splitting.cost(parts)
        yield Iterate(x, objective, relative(change, x), z)


def sampling_density(prepared: Prepared) -> Float[Tensor, "y x"]:
    """Samples a frame in each cell of the k-space grid, in the order of the FFT: mean over frames and 3 x 3 cells.

    It is at least one, for a preconditioner must not blow up where no frame has samples.
    """
    shape = np.array(prepared.matrix)
    cells = np.rint(prepared.trajectory.reshape(-1, 2) * shape).astype(np.int64) % shape
    counts = np.zeros(prepared.matrix, np.float32)
    np.add.at(counts, (cells[:, 0], cells[:, 1]), 1 / (int(prepared.frame.max()) + 1))
    shifts = itertools.product((-1, 0, 1), repeat=2)
    mean = sum(np.roll(counts, shift, (0, 1)) for shift in shifts) / np.float32(9)
    return torch.from_numpy(np.maximum(mean, np.float32(1)))


def soft_threshold(x: Tensor, threshold: float) -> Tensor:
    """The proximal map of threshold |x|_1, for complex numbers: the magnitude shrinks, the phase stays."""
    magnitude = x.abs()
    return x * ((magnitude - threshold).clamp(min=0) / magnitude.clamp(min=torch.finfo(torch.float32).tiny))


def half_square(x: Tensor) -> float:
    """1/2 |x|^2, summed in double precision."""
    return 0.5 * float(x.abs().double().square().sum())


def relative(change: Tensor, x: Tensor) -> float:
    """Norm of a change relative to that of what it leads to."""
    return math.sqrt(half_square(change) / max(half_square(x), np.finfo(float).tiny))
