"""The plain FFT for samples on the grid: orthonormal, then a gather of the measured points.

That pixels count from n // 2 is a phase of every point; to shift the images instead would take as long as the FFT.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.fourier import FourierOperator
from dainr.operators.sampled_fft import SampledFftOperator, Windows


class CartesianOperator(FourierOperator):
    """FFT and sampling for trajectories whose every point is a multiple of 1 / n."""

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        cells = [np.rint(p * np.array(self.matrix)).astype(np.int64) % np.array(self.matrix) for p in points]
        centre = np.array(self.matrix) // 2 / np.array(self.matrix)
        self.plans = [torch.from_numpy(c[:, 0] * self.matrix[1] + c[:, 1]).to(device) for c in cells]
        self.phases = [
            torch.from_numpy(np.exp(2j * np.pi * (c @ centre)).astype(np.complex64)).to(device) for c in cells
        ]

    def _map(self, x: Complex[Tensor, "frame coil y x"]) -> Complex[Tensor, "coil point"]:
        k = torch.fft.fft2(x, norm="ortho").flatten(2)
        parts = [k[i].index_select(1, self.plans[f]).mul_(self.phases[f]) for i, f in enumerate(self.frames)]
        return torch.cat(parts, 1)

    def _map_adjoint(self, y: Complex[Tensor, "coil point"]) -> Complex[Tensor, "frame coil y x"]:
        pieces = y.split([self.n_points[frame] for frame in self.frames], 1)
        grid = y.new_zeros(len(self.frames), len(y), self.matrix[0] * self.matrix[1])
        for i, (piece, frame) in enumerate(zip(pieces, self.frames, strict=True)):
            grid[i].index_add_(1, self.plans[frame], piece * self.phases[frame].conj())
        return torch.fft.ifft2(grid.unflatten(2, self.matrix), norm="ortho")


class CartesianMatrixOperator(SampledFftOperator):
    """The same transform with one gather for all frames, as a graphics card likes it."""

    def _windows(self, points: Float[Tensor, "point 2"]) -> tuple[Windows, Windows]:
        self.grid = self.matrix
        self.factor = torch.full(self.matrix, 1 / self.norm, device=points.device)
        cells = torch.round(points * torch.tensor(self.matrix, device=points.device)).long()
        once = torch.ones(len(points), 1, device=points.device)
        return Windows(cells[:, 0], once), Windows(cells[:, 1], once)
