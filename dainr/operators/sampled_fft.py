"""An FFT of all frames, and a constant sparse matrix from its cells to their points: a handful of launches in all.

The matrix is one for all frames, block by block. Its transpose is stored beside it: a product that sums every row on
its own needs no atomic additions, and gives the same bits each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from dainr.kernels.sparse import Product, csr_matrix, csr_product, transposed
from dainr.operators.fourier import FourierOperator

KEPT = 2  # times the points of all frames: what the matrices that are kept may have together


@dataclass(frozen=True, eq=False)
class Windows:
    """Along one axis of the grid, the cells that each point is interpolated from, and their weights."""

    first: Int[Tensor, " point"]
    weights: Float[Tensor, "point cell"]

    def of(self, points: Int[Tensor, " point"], size: int) -> tuple[Int[Tensor, "point cell"], Tensor]:
        """The cells of some points on a periodic grid, and their weights."""
        weights = self.weights[points]
        steps = torch.arange(weights.shape[1], device=weights.device)
        return (self.first[points, None] + steps) % size, weights


class SampledFftOperator(FourierOperator):
    """Coil images to k-space; a subclass says where the points lie on which grid (`_windows`)."""

    grid: tuple[int, int]
    factor: Float[Tensor, "y x"]  # of the pixels, before the transform and after its adjoint

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        self.windows = self._windows(torch.from_numpy(np.concatenate(points)).to(device))
        # the transform counts pixels from the corner; these turn k-space to what it is counted from n // 2
        turns = [np.arange(size) * (n // 2) / size for n, size in zip(self.matrix, self.grid, strict=True)]
        phases = np.exp(2j * np.pi * np.add.outer(*turns)).astype(np.complex64)
        self.phases = torch.from_numpy(phases).to(device)
        self._products: dict[tuple[int, ...], tuple[Product, Product]] = {}  # by frames; shared by all selections

    def _windows(self, points: Float[Tensor, "point 2"]) -> tuple[Windows, Windows]:
        """Of points (ky, kx) in cycles per pixel, along y and x; sets grid and factor."""
        raise TypeError(f"{type(self).__name__} interpolates nothing")

    def _map(self, x: Complex[Tensor, "frame coil y x"]) -> Complex[Tensor, "coil point"]:
        k = torch.fft.fft2(x * self.factor, s=self.grid)
        columns = k.new_empty(len(k), *self.grid, k.shape[1])  # of every cell: real and imaginary parts of the coils
        torch.mul(k.permute(0, 2, 3, 1), self.phases[..., None], out=columns)
        samples = self._product(0)(torch.view_as_real(columns).view(-1, 2 * k.shape[1]))
        return torch.view_as_complex(samples.unflatten(1, (-1, 2))).T

    def _map_adjoint(self, y: Complex[Tensor, "coil point"]) -> Complex[Tensor, "frame coil y x"]:
        columns = torch.view_as_real(y.resolve_conj().T.contiguous()).flatten(1)
        cells = torch.view_as_complex(self._product(1)(columns).unflatten(1, (-1, 2)))
        k = cells.new_empty(len(self.frames), len(y), *self.grid)
        torch.mul(cells.view(-1, *self.grid, len(y)).permute(0, 3, 1, 2), self.phases.conj(), out=k)
        ny, nx = self.matrix
        return torch.fft.ifft2(k, norm="forward")[..., :ny, :nx] * self.factor

    def _product(self, direction: int) -> Product:
        """That of these frames: from cells of their grids to their points (0), or back (1)."""
        frames = tuple(self.frames)
        if frames not in self._products:
            most, ours = KEPT * sum(self.n_points), sum(self.n_points[f] for f in frames)
            while self._products and ours + sum(self.n_points[f] for kept in self._products for f in kept) > most:
                self._products.pop(next(iter(self._products)))
            matrix = self._interpolation(frames)
            self._products[frames] = csr_product(matrix), csr_product(transposed(matrix))
        return self._products[frames][direction]

    def _interpolation(self, frames: tuple[int, ...]) -> Tensor:
        """The sparse matrix `point, cell`, the cells of one frame after those of another."""
        starts, device = np.concatenate([[0], np.cumsum(self.n_points)]), self.phases.device
        points = np.concatenate([np.arange(starts[f], starts[f + 1]) for f in frames])
        place = np.repeat(np.arange(len(frames)), [self.n_points[f] for f in frames])
        chosen, row = (torch.from_numpy(index).to(device) for index in (points, self.grid[0] * place))
        (y, along_y), (x, along_x) = (w.of(chosen, size) for w, size in zip(self.windows, self.grid, strict=True))
        columns = ((row[:, None] + y) * self.grid[1])[:, :, None] + x[:, None, :]
        values = along_y[:, :, None] * along_x[:, None, :]
        return csr_matrix(columns.flatten(1), values.flatten(1), len(frames) * self.grid[0] * self.grid[1])
