"""The Kaiser-Bessel kernel that gridding interpolates with (Beatty et al., IEEE TMI 2005;24:799)."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

OVERSAMPLING = 1.25
WIDTH = 8  # cells of the oversampled grid
BETA = float(np.pi * np.sqrt((WIDTH / OVERSAMPLING) ** 2 * (OVERSAMPLING - 0.5) ** 2 - 0.8))
PEAK = float(np.i0(BETA))


def oversampled(matrix: tuple[int, int]) -> tuple[int, int]:
    """Even sizes of the oversampled grid."""
    ny, nx = (2 * int(np.ceil(OVERSAMPLING * n / 2)) for n in matrix)
    return ny, nx


def apodisation(matrix: tuple[int, int], grid: tuple[int, int]) -> Float[np.ndarray, "y x"]:
    """One over the kernel's Fourier transform at the pixels, so that gridding leaves the image flat; orthonormal."""
    along = []
    for n, size in zip(matrix, grid, strict=True):
        position = (np.arange(n) - n // 2) / size
        argument = np.sqrt((BETA**2 - (np.pi * WIDTH * position) ** 2).astype(complex))
        along.append(1 / (WIDTH * np.sinh(argument) / (argument * PEAK)).real)
    return np.multiply.outer(*along) / np.sqrt(matrix[0] * matrix[1])


def window(position: Float[Tensor, " point"]) -> tuple[Int[Tensor, " point"], Float[Tensor, "point cell"]]:
    """First cell of the kernel around each position in cells, and the kernel's values at its cells, float32."""
    first = torch.ceil(position - WIDTH / 2).long()
    distance = 2 * (first[:, None] + torch.arange(WIDTH, device=position.device) - position[:, None]) / WIDTH
    values = torch.special.i0(BETA * (1 - distance.square()).clamp(min=0).sqrt()) / PEAK
    return first, values.float()
