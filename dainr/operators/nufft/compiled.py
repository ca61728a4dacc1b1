"""NUFFT on the CPU as apodisation, FFT and compiled gridding loops (numba): for many coils and few samples a frame.

The kernel of kernel.py. A frame of an undersampled scan has fewer samples than pixels, so what counts is the cost a
sample and coil: a window of 8 x 8 cells is summed row by row, 16 numbers at a time, in the vector registers. Weights
and cells are worked out once. Coils are shared among the threads, each with its own grid: no two threads meet, and the
result is the same from run to run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float
from numba import njit, prange
from torch import Tensor

from dainr.operators.fourier import FourierOperator
from dainr.operators.nufft.kernel import WIDTH, apodisation, oversampled, window
from dainr.threads import share_threads

LANES = 2 * WIDTH  # real and imaginary part of a row of the window
BLOCK = 2048  # points a thread takes at a time where it only reads the grid
compiled: Any = njit(parallel=True, fastmath={"contract", "reassoc", "arcp", "nsz"}, cache=True)


@dataclass(frozen=True, eq=False)
class Plan:
    """Windows of one frame's points: first cells (y, x), weights along y, and along x for each lane."""

    first: np.ndarray  # point, 2
    along_y: np.ndarray  # point, WIDTH
    along_x: np.ndarray  # point, LANES


class CompiledNufftOperator(FourierOperator):
    """Coil images to k-space through compiled interpolation, single precision."""

    def __init__(
        self,
        points: Sequence[Float[np.ndarray, "_ 2"]],
        matrix: tuple[int, int],
        n_coils: int,
        device: torch.device,
    ) -> None:
        super().__init__(matrix, [len(p) for p in points])
        self.grid = oversampled(matrix)
        from_centre = [np.arange(n) - n // 2 for n in matrix]
        alternating = (-1.0) ** np.add.outer(*from_centre)  # brings the centre of k-space to that of the grid
        flat = (apodisation(matrix, self.grid) * alternating).astype(np.float32)
        self.apodisation = torch.from_numpy(flat.repeat(2, axis=1))
        self.quadrants = list(product(_halves(matrix[0], self.grid[0], 1), _halves(matrix[1], self.grid[1], 2)))
        self.plans = [self._plan(p) for p in points]

    def _plan(self, points: np.ndarray) -> Plan:
        first, weights = zip(
            *(window(points[:, axis] * size + size // 2) for axis, size in enumerate(self.grid)), strict=True
        )
        return Plan(
            first=np.stack(first, 1),
            along_y=np.ascontiguousarray(weights[0], np.float32),
            along_x=np.repeat(weights[1], 2, axis=1).astype(np.float32),
        )

    def _frame(self, x: Complex[Tensor, "coil y x"], frame: int) -> Complex[Tensor, "coil point"]:
        plan = self.plans[frame]
        padded = torch.zeros(len(x), self.grid[0], 2 * self.grid[1])
        parts = torch.view_as_real(x.resolve_conj().contiguous()).flatten(2)
        for (y_image, y_grid), (x_image, x_grid) in self.quadrants:
            torch.mul(parts[:, y_image, x_image], self.apodisation[y_image, x_image], out=padded[:, y_grid, x_grid])
        k = torch.view_as_real(torch.fft.fft2(_complex(padded))).flatten(2)
        out = torch.empty(len(x), len(plan.first), 2)
        share_threads()
        _interpolate(k.numpy(), plan.first, plan.along_y, plan.along_x, out.numpy())
        return torch.view_as_complex(out)

    def _frame_adjoint(self, y: Complex[Tensor, "coil point"], frame: int) -> Complex[Tensor, "coil y x"]:
        plan = self.plans[frame]
        values = torch.view_as_real(y.resolve_conj().contiguous())
        k = torch.zeros(len(y), self.grid[0], 2 * self.grid[1])
        share_threads()
        _spread(values.numpy(), plan.first, plan.along_y, plan.along_x, k.numpy())
        padded = torch.view_as_real(torch.fft.ifft2(_complex(k), norm="forward")).flatten(2)
        images = torch.empty(len(y), self.matrix[0], 2 * self.matrix[1])
        for (y_image, y_grid), (x_image, x_grid) in self.quadrants:
            torch.mul(padded[:, y_grid, x_grid], self.apodisation[y_image, x_image], out=images[:, y_image, x_image])
        return _complex(images)


def _complex(parts: Tensor) -> Tensor:
    """Real and imaginary parts in turn along the last axis, as complex numbers."""
    return torch.view_as_complex(parts.unflatten(-1, (-1, 2)))


def _halves(n: int, grid: int, parts: int) -> list[tuple[slice, slice]]:
    """Where pixels of so many numbers go on the padded grid, cyclically, so that pixel n // 2 comes to index 0."""
    centre, n, grid = parts * (n // 2), parts * n, parts * grid
    return [(slice(centre, n), slice(0, n - centre)), (slice(0, centre), slice(grid - centre, grid))]


@compiled
def _interpolate(grid, first, along_y, along_x, out):  # type: ignore[no-untyped-def]
    n_coils, ny, nx = grid.shape
    n_points = len(first)
    n_blocks = (n_points + BLOCK - 1) // BLOCK
    for task in prange(n_coils * n_blocks):
        coil, block = task // n_blocks, task % n_blocks
        row = np.empty(LANES, np.float32)
        for p in range(block * BLOCK, min(n_points, (block + 1) * BLOCK)):
            y, x = first[p, 0], 2 * first[p, 1]
            row[:] = 0
            if y >= 0 and x >= 0 and y + WIDTH <= ny and x + LANES <= nx:
                for i in range(WIDTH):
                    for j in range(LANES):
                        row[j] += along_y[p, i] * grid[coil, y + i, x + j]
            else:  # the window reaches over the edge: k-space is periodic
                for i in range(WIDTH):
                    for j in range(LANES):
                        row[j] += along_y[p, i] * grid[coil, (y + i) % ny, (x + j) % nx]
            real, imaginary = np.float32(0), np.float32(0)
            for j in range(0, LANES, 2):
                real += along_x[p, j] * row[j]
                imaginary += along_x[p, j] * row[j + 1]
            out[coil, p, 0], out[coil, p, 1] = real, imaginary


@compiled
def _spread(values, first, along_y, along_x, grid):  # type: ignore[no-untyped-def]
    n_coils, ny, nx = grid.shape
    for coil in prange(n_coils):
        row = np.empty(LANES, np.float32)
        for p in range(len(first)):
            y, x = first[p, 0], 2 * first[p, 1]
            for j in range(0, LANES, 2):
                row[j] = along_x[p, j] * values[coil, p, 0]
                row[j + 1] = along_x[p, j] * values[coil, p, 1]
            if y >= 0 and x >= 0 and y + WIDTH <= ny and x + LANES <= nx:
                for i in range(WIDTH):
                    for j in range(LANES):
                        grid[coil, y + i, x + j] += along_y[p, i] * row[j]
            else:
                for i in range(WIDTH):
                    for j in range(LANES):
                        grid[coil, (y + i) % ny, (x + j) % nx] += along_y[p, i] * row[j]
