"""Rotation of all frames about pixel (ny // 2, nx // 2), the one that the FFT takes for the centre."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from dainr.kernels.warp import warp

ROUNDING = 1e-3  # of a pixel: how far beyond the edge a place is still on it


@dataclass(frozen=True, eq=False)
class Rotation:
    """A turn by `degrees`, from the axis x towards the axis y, by bicubic interpolation.

    Angles are those of the grid of pixels. Turns of 90 degrees only reorder them. What comes from beyond the field of
    view is zero and not `inside`: corners, of a rectangle more, and with an even number of pixels the outermost row.
    """

    degrees: float
    matrix: tuple[int, int]
    device: torch.device

    def __call__(self, images: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        """The rotated series."""
        displacement = self._displacement.to(images.device)
        return warp(images, displacement.expand(len(images), -1, -1, -1)) * self.inside.to(images.device)

    def inverse(self) -> "Rotation":
        """The turn back."""
        return Rotation(-self.degrees, self.matrix, self.device)

    @cached_property
    def inside(self) -> Bool[Tensor, "y x"]:
        """Pixels whose content was within the field of view."""
        return torch.stack([
            (place >= -ROUNDING) & (place <= n - 1 + ROUNDING)
            for place, n in zip(self._sources, self.matrix, strict=True)
        ]).all(0)  # fmt: skip

    @cached_property
    def _sources(self) -> tuple[Float[Tensor, "y x"], Float[Tensor, "y x"]]:
        """Where (y, x) the content of every pixel comes from."""
        ny, nx = self.matrix
        y = torch.arange(ny, device=self.device, dtype=torch.float64)[:, None] - ny // 2
        x = torch.arange(nx, device=self.device, dtype=torch.float64)[None] - nx // 2
        cos, sin = (round(f(math.radians(self.degrees)), 15) for f in (math.cos, math.sin))  # exactly 0 at 90 degrees
        return cos * y - sin * x + ny // 2, sin * y + cos * x + nx // 2

    @cached_property
    def _displacement(self) -> Float[Tensor, "1 2 y x"]:
        """From every pixel to its source, (x, y) in pixels."""
        y, x = self._sources
        ny, nx = (torch.arange(n, device=self.device) for n in self.matrix)
        return torch.stack([x - nx, y - ny[:, None]])[None].float()
