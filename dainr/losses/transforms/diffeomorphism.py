"""Smooth, invertible deformations of the plane that keep areas, the same for all frames.

The velocity v = (d psi / dy, -d psi / dx) of a stream function psi has no divergence, so that its flow keeps areas. psi
is a sum of cubic B-splines that end within the field of view: at its edge nothing moves. The flow of v for one unit of
time is followed pixel by pixel (Runge-Kutta, fourth order), with no map interpolated on the way; that of -v is its
inverse.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.kernels.warp import warp

CONTROL = 3  # splines a side
SIZE = 0.06  # root mean square of v over the field of view and over draws, of its shorter side
STEPS = 5  # of the flow: within some hundredths of a pixel


@dataclass(frozen=True, eq=False)
class Diffeomorphism:
    """The flow of a stream function's velocity: y(r) = x(r + d(r)), by bicubic interpolation."""

    stream: Float[Tensor, "row column"]  # coefficients of psi, in squared pixels
    matrix: tuple[int, int]
    inside = None

    def __call__(self, images: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        """The deformed series."""
        displacement = self.displacement.to(images.device)
        return warp(images, displacement.expand(len(images), -1, -1, -1))

    def inverse(self) -> "Diffeomorphism":
        """The flow back."""
        return Diffeomorphism(-self.stream, self.matrix)

    @cached_property
    def displacement(self) -> Float[Tensor, "2 y x"]:
        """d, from every pixel to its source, (x, y) in pixels."""
        pixels = _pixels(self.matrix, self.stream.device)
        place = pixels
        for _ in range(STEPS):
            first = self.velocity(place)
            second = self.velocity(place + first / (2 * STEPS))
            third = self.velocity(place + second / (2 * STEPS))
            last = self.velocity(place + third / STEPS)
            place = place + (first + 2 * second + 2 * third + last) / (6 * STEPS)
        return (place - pixels).float()

    def velocity(self, place: Float[Tensor, "2 y x"]) -> Float[Tensor, "2 y x"]:
        """v at places (x, y), in pixels."""
        of_rows, row_slopes = _splines(place[1], self.matrix[0])
        of_columns, column_slopes = _splines(place[0], self.matrix[1])
        coefficients = self.stream.double()
        along_x = ((row_slopes @ coefficients) * of_columns).sum(-1)
        return torch.stack([along_x, -((of_rows @ coefficients) * column_slopes).sum(-1)])


def draw_diffeomorphism(generator: torch.Generator, matrix: tuple[int, int]) -> Diffeomorphism:
    """One with coefficients N(0, I), times what makes the velocity of `SIZE`; on the generator's device."""
    coefficients = torch.randn(CONTROL, CONTROL, generator=generator, device=generator.device)
    y, x = (torch.arange(n, device=generator.device, dtype=torch.float64) for n in matrix)
    energies = [[m.square().sum(1).mean() for m in _splines(p, n)] for p, n in zip((y, x), matrix, strict=True)]
    (rows, row_slopes), (columns, column_slopes) = energies
    expected = (row_slopes * columns + rows * column_slopes).clamp(min=1e-12)  # of v squared, with these coefficients
    return Diffeomorphism(coefficients * (SIZE * min(matrix) / expected.sqrt()).float(), matrix)


def _pixels(matrix: tuple[int, int], device: torch.device) -> Float[Tensor, "2 y x"]:
    y, x = torch.meshgrid(*(torch.arange(n, device=device, dtype=torch.float64) for n in matrix), indexing="ij")
    return torch.stack([x, y])


def _splines(place: Float[Tensor, "*at"], n: int) -> tuple[Float[Tensor, "*at control"], Float[Tensor, "*at control"]]:
    """Cubic B-splines at places along an axis of n pixels, and their slopes per pixel; zero at its first and last."""
    spacings = (CONTROL + 3) / max(n - 1, 1)  # in a pixel; a spline is four spacings wide
    way = place[..., None] * spacings - torch.arange(2, CONTROL + 2, device=place.device)
    far = way.abs()
    value = torch.where(far < 1, 2 / 3 - far**2 + far**3 / 2, (2 - far).clamp(min=0) ** 3 / 6)
    slope = torch.where(far < 1, 1.5 * far**2 - 2 * far, -((2 - far).clamp(min=0) ** 2) / 2) * way.sign()
    return value, slope * spacings
