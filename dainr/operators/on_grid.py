"""Samples on the grid as k-space of every coil and frame, for networks that work there.

K-space is orthonormal, its low frequencies first; pixels count from n // 2, so that it turns as the images turn.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class OnGrid:
    """What was measured, where, and through which coils; places that were not measured are zero."""

    maps: Complex[Tensor, "coil y x"]
    weights: Float[Tensor, "frame ky kx"]  # W
    kspace: Complex[Tensor, "frame coil ky kx"]  # y

    @cached_property
    def mask(self) -> Float[Tensor, "frame 1 ky kx"]:
        """One where something was measured."""
        return (self.weights > 0).to(self.weights.dtype)[:, None]

    def measure(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame coil ky kx"]:
        """A x."""
        centred = torch.fft.ifftshift(x[:, None] * self.maps, dim=(2, 3))
        return self.mask * torch.fft.fft2(centred, norm="ortho")

    def combine(self, k: Complex[Tensor, "frame coil ky kx"]) -> Complex[Tensor, "frame y x"]:
        """A^H W k."""
        images = torch.fft.ifft2(self.weights[:, None] * k, norm="ortho")
        return (self.maps.conj() * torch.fft.fftshift(images, dim=(2, 3))).sum(1)

    def scaled(self, factor: Float[Tensor, ""] | float) -> "OnGrid":
        """The samples of a series so many times as bright."""
        return replace(self, kspace=self.kspace * factor)

    def remeasured(self, x: Complex[Tensor, "frame y x"]) -> "OnGrid":
        """The samples of a series x, at the same places."""
        return replace(self, kspace=self.measure(x))
