"""How crowded the samples of each frame are in k-space: how many share a cell of the image's grid with each.

One over it weights a sample by the area of k-space that is its own, but never by more than a cell: with few spokes the
ramp gives the outer samples, between which k-space is empty, a weight that no gradient step survives (Pipe & Menon,
Magn Reson Med 1999;41:179, with one iteration and a kernel of a cell).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dainr.kernels.sparse import csr_matrix, csr_product, transposed

ON_GRID = 1e-3  # cells


class Crowding:
    """Spreads samples over the cells around them, frame by frame, and looks up what has come together there."""

    def __init__(
        self, points: Float[Tensor, "point 2"], counts: list[int], matrix: tuple[int, int], device: torch.device
    ) -> None:
        """`points` (ky, kx) in cycles per pixel, those of one frame after another; `counts`: of each frame."""
        ny, nx = matrix
        at = points.double() * torch.tensor(matrix, dtype=torch.float64)
        at = torch.where((at - at.round()).abs() < ON_GRID, at.round(), at)
        low = torch.floor(at)
        part = (at - low).float()
        frame = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
        cells, shares = [], []
        for dy in (0, 1):
            for dx in (0, 1):
                y, x = ((low + torch.tensor([dy, dx])).long() % torch.tensor(matrix)).unbind(1)
                cells.append((frame * ny + y) * nx + x)
                shares.append((part[:, 0] if dy else 1 - part[:, 0]) * (part[:, 1] if dx else 1 - part[:, 1]))
        gather = csr_matrix(torch.stack(cells, 1), torch.stack(shares, 1), len(counts) * ny * nx).to(device)
        self._gather, self._spread = csr_product(gather), csr_product(transposed(gather))

    def __call__(self, counted: Float[Tensor, " point"]) -> Float[Tensor, " point"]:
        """At every sample, how many there are around it; of numbers below one, each counts as so much of a sample."""
        return self._gather(self._spread(counted[:, None])).squeeze(1)
