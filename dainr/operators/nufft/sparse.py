"""NUFFT as apodisation, FFT and a constant sparse matrix: gridding in torch alone, on CPU and CUDA.

The matrix interpolates the Fourier transform on a 1.25 times finer grid with a Kaiser-Bessel kernel of width 8
(Beatty et al., IEEE TMI 2005;24:799). It is stored with its transpose, because a product with a transposed CSR matrix
is slow; both are exact adjoints of each other, and so are the operator and its adjoint.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.fourier import FourierOperator

OVERSAMPLING = 1.25
WIDTH = 8


class SparseNufftOperator(FourierOperator):
    """Coil images to k-space through one sparse interpolation matrix per frame."""

    def __init__(
        self,
        points: Sequence[Float[np.ndarray, "_ 2"]],
        matrix: tuple[int, int],
        n_coils: int,
        device: torch.device,
    ) -> None:
        super().__init__(matrix, [len(p) for p in points])
        self.grid = tuple(2 * int(np.ceil(OVERSAMPLING * n / 2)) for n in matrix)
        self.beta = np.pi * np.sqrt((WIDTH / OVERSAMPLING) ** 2 * (OVERSAMPLING - 0.5) ** 2 - 0.8)
        apodisation = np.multiply.outer(*(self._apodisation(n, g) for n, g in zip(matrix, self.grid, strict=True)))
        self.apodisation = torch.from_numpy((apodisation / np.sqrt(matrix[0] * matrix[1])).astype(np.float32)).to(
            device
        )
        self.plans = [self._interpolation(p, device) for p in points]

    def _apodisation(self, n: int, grid: int) -> np.ndarray:
        """One over the kernel's Fourier transform at the pixels, so that gridding leaves the image flat."""
        position = (np.arange(n) - n // 2) / grid
        argument = np.sqrt((self.beta**2 - (np.pi * WIDTH * position) ** 2).astype(complex))
        return 1 / (WIDTH * np.sinh(argument) / (argument * np.i0(self.beta))).real

    def _interpolation(self, points: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """The sparse matrix `point, grid cell` and its transpose."""
        cells, weights = [], []
        for axis, grid in enumerate(self.grid):
            position = points[:, axis] * grid
            nearest = np.ceil(position - WIDTH / 2).astype(np.int64)[:, None] + np.arange(WIDTH)
            distance = 2 * (nearest - position[:, None]) / WIDTH
            weights.append(np.i0(self.beta * np.sqrt(np.clip(1 - distance**2, 0, None))) / np.i0(self.beta))
            cells.append(nearest % grid)
        columns = (cells[0][:, :, None] * self.grid[1] + cells[1][:, None, :]).reshape(len(points), -1)
        values = (weights[0][:, :, None] * weights[1][:, None, :]).reshape(len(points), -1)
        rows = np.repeat(np.arange(len(points)), columns.shape[1])
        indices = torch.from_numpy(np.stack([rows, columns.ravel()]))
        size = (len(points), self.grid[0] * self.grid[1])
        coo = torch.sparse_coo_tensor(
            indices, torch.from_numpy(values.ravel().astype(np.float32)), size, check_invariants=True
        ).to(device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its CSR tensors a beta feature
            return coo.to_sparse_csr(), coo.t().coalesce().to_sparse_csr()

    def _frame(self, x: Complex[Tensor, "coil y x"], frame: int) -> Complex[Tensor, "coil point"]:
        k = torch.fft.fft2(_centred_pad(x * self.apodisation, self.grid)).flatten(1)
        return _multiply(self.plans[frame][0], k)

    def _frame_adjoint(self, y: Complex[Tensor, "coil point"], frame: int) -> Complex[Tensor, "coil y x"]:
        grid = _multiply(self.plans[frame][1], y).unflatten(1, self.grid)
        images = torch.fft.ifft2(grid, norm="forward")
        return _centred_crop(images, self.matrix) * self.apodisation


def _multiply(matrix: Tensor, x: Complex[Tensor, "coil column"]) -> Complex[Tensor, "coil row"]:
    """A real sparse matrix times complex vectors, real and imaginary parts as further columns."""
    columns = torch.view_as_real(x.resolve_conj().T.contiguous()).flatten(1)
    return torch.view_as_complex((matrix @ columns).unflatten(1, (-1, 2))).T


def _centred_pad(x: Tensor, grid: tuple[int, ...]) -> Tensor:
    """Zero-pad so that pixel n // 2 comes to index 0, cyclically."""
    padded = x.new_zeros(*x.shape[:-2], *grid)
    ny, nx = x.shape[-2:]
    padded[..., :ny, :nx] = x
    return torch.roll(padded, (-(ny // 2), -(nx // 2)), (-2, -1))


def _centred_crop(x: Tensor, matrix: tuple[int, int]) -> Tensor:
    """The inverse of the padding."""
    ny, nx = matrix
    return torch.roll(x, (ny // 2, nx // 2), (-2, -1))[..., :ny, :nx]
