"""NUFFT as apodisation, FFT and a constant sparse matrix: gridding in torch alone, on CPU and CUDA.

The matrix interpolates the Fourier transform on a 1.25 times finer grid with the kernel of window.py. It is one for all
frames, block by block, so that a transform is a handful of launches however many frames there are. Its transpose is
stored beside it: a product that sums every row on its own needs no atomic additions, and gives the same bits each time.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.kernels.sparse import Product, csr_matrix, csr_product, transposed
from dainr.operators.fourier import FourierOperator
from dainr.operators.nufft.window import WIDTH, apodisation, oversampled, window

KEPT = 2  # times the points of all frames: what the matrices that are kept may have together


class SparseNufftOperator(FourierOperator):
    """Coil images to k-space through one sparse interpolation matrix."""

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        self.grid = oversampled(self.matrix)
        self.apodisation = torch.from_numpy(apodisation(self.matrix, self.grid).astype(np.float32)).to(device)
        # the transform counts pixels from the corner; these turn k-space to what it is counted from n // 2
        turns = [np.arange(size) * (n // 2) / size for n, size in zip(self.matrix, self.grid, strict=True)]
        phases = np.exp(2j * np.pi * np.add.outer(*turns)).astype(np.complex64)
        self.phases = torch.from_numpy(phases).to(device)
        positions = torch.from_numpy(np.concatenate(points)).to(device)
        self.windows = [window(positions[:, axis] * size) for axis, size in enumerate(self.grid)]
        self._products: dict[tuple[int, ...], tuple[Product, Product]] = {}  # by frames; shared by all selections

    def _map(self, x: Complex[Tensor, "frame coil y x"]) -> Complex[Tensor, "coil point"]:
        k = torch.fft.fft2(x * self.apodisation, s=self.grid)
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
        return torch.fft.ifft2(k, norm="forward")[..., :ny, :nx] * self.apodisation

    def _product(self, direction: int) -> Product:
        """That of these frames: from cells of their grids to their points (0), or back (1)."""
        frames = tuple(self.frames)
        if frames not in self._products:
            size = KEPT * sum(self.n_points)
            while self._products and sum(self.n_points[f] for key in (frames, *self._products) for f in key) > size:
                self._products.pop(next(iter(self._products)))
            matrix = self._interpolation(frames)
            self._products[frames] = csr_product(matrix), csr_product(transposed(matrix))
        return self._products[frames][direction]

    def _interpolation(self, frames: tuple[int, ...]) -> Tensor:
        """The sparse matrix `point, cell`, the cells of one frame after those of another."""
        starts = np.concatenate([[0], np.cumsum(self.n_points)])
        chosen = torch.cat([torch.arange(starts[f], starts[f + 1]) for f in frames])
        place = torch.repeat_interleave(torch.arange(len(frames)), torch.tensor([self.n_points[f] for f in frames]))
        chosen, place = (index.to(self.phases.device) for index in (chosen, place))
        (cells_y, weights_y), (cells_x, weights_x) = (
            ((first[chosen, None] + torch.arange(WIDTH, device=first.device)) % size, weights[chosen])
            for (first, weights), size in zip(self.windows, self.grid, strict=True)
        )
        rows = (place[:, None] * self.grid[0] + cells_y)[:, :, None]
        columns = (rows * self.grid[1] + cells_x[:, None, :]).view(len(chosen), -1)
        values = (weights_y[:, :, None] * weights_x[:, None, :]).view(len(chosen), -1)
        return csr_matrix(columns, values, len(frames) * self.grid[0] * self.grid[1])
