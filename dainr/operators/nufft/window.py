"""The Kaiser-Bessel kernel that gridding interpolates with (Beatty et al., IEEE TMI 2005;24:799)."""

import numpy as np
from jaxtyping import Float

OVERSAMPLING = 1.25
WIDTH = 8  # cells of the oversampled grid
BETA = float(np.pi * np.sqrt((WIDTH / OVERSAMPLING) ** 2 * (OVERSAMPLING - 0.5) ** 2 - 0.8))


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
        along.append(1 / (WIDTH * np.sinh(argument) / (argument * np.i0(BETA))).real)
    return np.multiply.outer(*along) / np.sqrt(matrix[0] * matrix[1])


def window(position: Float[np.ndarray, " point"]) -> tuple[np.ndarray, Float[np.ndarray, "point cell"]]:
    """First cell of the kernel around each position in cells, and the kernel's values at its cells."""
    first = np.ceil(position - WIDTH / 2).astype(np.int64)
    distance = 2 * (first[:, None] + np.arange(WIDTH) - position[:, None]) / WIDTH
    return first, np.i0(BETA * np.sqrt(np.clip(1 - distance**2, 0, None))) / np.i0(BETA)
