"""CG-SENSE: the regularised least-squares image of every frame on its own.

    min_x  1/2 |A x - y|^2 + mu/2 |x|^2,    that is  (A^H A + mu) x = A^H y

Conjugate gradients, each frame with its own steps (Pruessmann et al., Magn Reson Med 2001;46:638), preconditioned by
the density of the samples in k-space.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from dainr.methods.classical.iterations import Iterate, IterativeConfig, IterativeMethod
from dainr.methods.classical.solvers import conjugate_gradients, half_square, relative, sampling_density
from dainr.methods.slices import Slice


@dataclass(frozen=True)
class CgSenseConfig(IterativeConfig):
    """Settings of CG-SENSE."""

    tolerance: float = 3e-4


class CgSense(IterativeMethod):
    """Regularised least squares, frame by frame."""

    name = "cg-sense"
    Config = CgSenseConfig
    cited_as = (
        "Every frame was reconstructed by regularised least squares with conjugate gradients (CG-SENSE, Pruessmann et"
        " al., Magn Reson Med 2001;46:638; dainr {version})."
    )
    about = "parallel imaging: regularised least squares of each frame, by conjugate gradients"

    def iterate(self, part: Slice, config: CgSenseConfig) -> Iterator[Iterate]:
        """Conjugate gradients; their residual is that of the linear system, relative to A^H y."""
        data, energy = part.data, half_square(part.data.kspace)
        right = data.operator.adjoint(data.kspace)
        mu = config.ridge * part.prepared.noise_std**2
        weight = sampling_density(part.prepared).to(right.device) + mu

        def apply(x: Tensor) -> Tensor:
            return data.operator.adjoint(data.operator(x)) + mu * x

        def precondition(x: Tensor) -> Tensor:
            return torch.fft.ifft2(torch.fft.fft2(x) / weight)

        for x, residual in conjugate_gradients(apply, right, precondition, each_frame=True):
            # 1/2 |A x - y|^2 + mu/2 |x|^2 = 1/2 |y|^2 - 1/2 <x, b + r>, with b = A^H y and r = b - (A^H A + mu) x
            gained = 0.5 * float((x.conj() * (right + residual)).real.double().sum())
            yield Iterate(x, energy - gained, relative(residual, right))
