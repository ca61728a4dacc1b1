"""The NUFFT of all coils by a sparse matrix in double precision: for what FINUFFT would do, where there is none.

Gridding with a Kaiser-Bessel window on twice the grid, as wide as a tolerance asks (Beatty, IEEE TMI 2005;24:799).
"""

import numpy as np
from jaxtyping import Complex, Float
from scipy import sparse

OVERSAMPLING = 2


class GriddedNufft:
    """Transforms between images `coil y x` and samples `coil point`, and no factor that makes them orthonormal."""

    def __init__(self, points: Float[np.ndarray, "point 2"], shape: tuple[int, ...], tolerance: float) -> None:
        """`points` (ky, kx) in cycles per pixel of images of `shape` (y, x)."""
        self.shape, self.grid = shape, tuple(OVERSAMPLING * n for n in shape)
        width = int(np.ceil(np.log10(1 / tolerance))) + 2  # cells of the grid: a digit each
        beta = np.pi * np.sqrt((width / OVERSAMPLING) ** 2 * (OVERSAMPLING - 0.5) ** 2 - 0.8)
        self._flat = np.multiply.outer(*(_flattening(n, width, beta) for n in shape))
        (rows, along_y), (columns, along_x) = (
            _window(points[:, axis].astype(np.float64) * n, n, width, beta) for axis, n in enumerate(self.grid)
        )
        cells = (rows[:, :, None] * self.grid[1] + columns[:, None]).ravel()
        weights = (along_y[:, :, None] * along_x[:, None]).ravel()
        ends = np.arange(len(points) + 1) * width**2
        self._window = sparse.csr_array((weights, cells, ends), (len(points), self.grid[0] * self.grid[1]))

    def forward(self, images: Complex[np.ndarray, "coil y x"]) -> Complex[np.ndarray, "coil point"]:
        """Samples of the images."""
        padded = np.zeros((len(images), *self.grid), np.complex128)
        rows, columns = self._places()
        padded[:, rows[:, None], columns] = images * self._flat
        return (self._window @ np.fft.fft2(padded).reshape(len(images), -1).T).T

    def adjoint(self, samples: Complex[np.ndarray, "coil point"]) -> Complex[np.ndarray, "coil y x"]:
        """The adjoint of `forward`."""
        spread = (self._window.T @ samples.T).T.reshape(len(samples), *self.grid)
        rows, columns = self._places()
        return np.fft.ifft2(spread, norm="forward")[:, rows[:, None], columns] * self._flat

    def _places(self) -> list[np.ndarray]:
        """Where pixels lie on the grid, so that pixel n // 2 comes to 0."""
        return [(np.arange(n) - n // 2) % size for n, size in zip(self.shape, self.grid, strict=True)]


def _flattening(n: int, width: int, beta: float) -> Float[np.ndarray, " pixel"]:
    """One over the window's Fourier transform at the pixels along an axis."""
    position = (np.arange(n) - n // 2) / (OVERSAMPLING * n)
    argument = np.sqrt((beta**2 - (np.pi * width * position) ** 2).astype(complex))
    return 1 / (width * np.sinh(argument) / (argument * np.i0(beta))).real


def _window(
    position: Float[np.ndarray, " point"], n: int, width: int, beta: float
) -> tuple[np.ndarray, Float[np.ndarray, "point cell"]]:
    """The cells around each position on a periodic axis of n, and the window's values there."""
    cells = np.ceil(position - width / 2).astype(np.int64)[:, None] + np.arange(width)
    distance = 2 * (cells - position[:, None]) / width
    return cells % n, np.i0(beta * np.sqrt(np.clip(1 - distance**2, 0, None))) / np.i0(beta)
