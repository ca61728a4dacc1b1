"""NUFFT as apodisation, FFT and a constant sparse matrix: gridding in torch alone, on CPU and CUDA.

The matrix interpolates the Fourier transform on a 1.25 times finer grid with the kernel of kernel.py. It is stored with
its transpose, because a product with a transposed CSR matrix is slow; both are exact adjoints of each other, and so are
the operator and its adjoint.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.fourier import FourierOperator
from dainr.operators.nufft.window import WIDTH, apodisation, oversampled, window


class SparseNufftOperator(FourierOperator):
    """Coil images to k-space through one sparse interpolation matrix per frame."""

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        self.grid = oversampled(self.matrix)
        self.apodisation = torch.from_numpy(apodisation(self.matrix, self.grid).astype(np.float32)).to(device)
        self.plans = [self._interpolation(p, device) for p in points]

    def _interpolation(self, points: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
        """The sparse matrix `point, grid cell` and its transpose."""
        cells, weights = [], []
        for axis, grid in enumerate(self.grid):
            first, values = window(points[:, axis] * grid)
            cells.append((first[:, None] + np.arange(WIDTH)) % grid)
            weights.append(values)
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
