"""Whole lines on the grid, few to a frame: the transform across them is a product with the few rows it needs.

    y[c, l, s] = F_x sum_j (cos(2 pi l j / ny) e[j] + sin(2 pi l j / ny) o[j]) / sqrt(ny)
    e[j] = z[j] + z[-j],    o[j] = -i (z[j] - z[-j]),    z: coil images

j counts rows from the centre of the image. Pixels opposite the centre are added first, so that a product of real
numbers, half as many as of complex ones, is left; an FFT would transform all lines. On the CPU alone: a graphics card
has the FFT for nothing.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from numba import prange
from torch import Tensor

from dainr.kernels.coil_sums import add_conjugate
from dainr.kernels.compiling import as_array, chosen, inner, kernel, share_threads
from dainr.machine.kept import kept
from dainr.operators.cartesian import CartesianMatrixOperator, CartesianOperator
from dainr.operators.fourier import ELEMENTS_AT_A_TIME, FourierOperator

MOST_LINES = 96  # a frame; of more the FFT is as fast


class LinesOperator(CartesianOperator):
    """The same transform for frames of whole lines along x."""

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        """Every frame's points are its lines, one after another, all at the same kx."""
        super()._set_up(points, n_coils, device)
        (ny, nx), n_samples = self.matrix, whole_lines(_cells(points, self.matrix))
        columns = np.rint(points[0][:n_samples, 1] * nx).astype(np.int64)
        self.columns, self.shift = columns % nx, np.exp(2j * np.pi * columns * (nx // 2) / nx).astype(np.complex64)
        rows = [np.rint(p[::n_samples, 0] * ny) for p in points]
        self.n_lines = [len(row) for row in rows]
        half = np.arange(ny // 2 + 1)
        waves = np.zeros((len(rows), max(self.n_lines), 2 * len(half)), np.float32)
        for wave, row in zip(waves, rows, strict=True):
            angle = 2 * np.pi / ny * np.outer(row, half)
            wave[: len(row)] = np.concatenate([np.cos(angle), np.sin(angle)], 1) / np.sqrt(ny)
        self.waves = torch.from_numpy(waves)

    def measure(
        self, images: Complex[Tensor, "frame y x"], maps: Complex[Tensor, "coil y x"]
    ) -> Complex[Tensor, "coil point"]:
        """The lines of images seen through coil maps."""
        n_coils, nx, by_row = len(maps), self.matrix[1], _by_row(maps)
        waves, y = self.waves[self.frames], images.new_empty(n_coils, sum(self.n_points[f] for f in self.frames))
        lines = images.new_empty(*waves.shape[:2], n_coils, nx)
        share_threads()
        for some in self._chunks(maps.numel(), ELEMENTS_AT_A_TIME):
            folded = images.new_empty(some.stop - some.start, waves.shape[2], n_coils, nx)
            _fold(as_array(images[some]), by_row, as_array(folded))
            torch.bmm(waves[some], _real(folded), out=_real(lines[some]))
        starts, n_lines = self._layout()
        _take(as_array(torch.fft.fft(lines, norm="ortho")), self.columns, self.shift, starts, n_lines, as_array(y))
        return y

    def measure_adjoint(
        self,
        y: Complex[Tensor, "coil point"],
        maps: Complex[Tensor, "coil y x"],
        images: Complex[Tensor, "frame y x"] | None = None,
    ) -> tuple[Complex[Tensor, "frame y x"], Complex[Tensor, "coil y x"] | None]:
        """Adjoint of `measure`, both sums over the coil images in one pass."""
        n_coils, (ny, nx), by_row = len(maps), self.matrix, _by_row(maps)
        waves, of_images = self.waves[self.frames], y.new_empty(len(self.frames), ny, nx)
        of_maps = y.new_zeros(ny if images is not None else 0, n_coils, nx)
        lines, (starts, n_lines) = y.new_zeros(*waves.shape[:2], n_coils, nx), self._layout()
        share_threads()
        _put(as_array(y), self.columns, self.shift, starts, n_lines, as_array(lines))
        lines, seen = torch.fft.ifft(lines, norm="ortho"), of_images if images is None else images
        for some in self._chunks(maps.numel(), ELEMENTS_AT_A_TIME):
            folded = torch.bmm(waves[some].mT, _real(lines[some])).view(-1, waves.shape[2], n_coils, 2 * nx)
            parts = torch.view_as_complex(folded.unflatten(-1, (nx, 2)))
            _unfold(as_array(parts), by_row, as_array(seen[some]), as_array(of_images[some]), as_array(of_maps))
        return of_images, None if images is None else of_maps.transpose(0, 1).contiguous()

    def _layout(self) -> tuple[np.ndarray, np.ndarray]:
        """Of every frame: where its points begin, and its number of lines."""
        n_lines = np.array([self.n_lines[frame] for frame in self.frames])
        return np.cumsum(n_lines) - n_lines, n_lines


@kept()
def make_cartesian(
    points: Sequence[Float[np.ndarray, "_ 2"]], matrix: tuple[int, int], n_coils: int, device: torch.device
) -> FourierOperator:
    """The faster operator for points on the grid: products for a few whole lines on the CPU, else the FFT."""
    few = max(map(len, points)) <= MOST_LINES * whole_lines(_cells(points, matrix))
    on_cpu = LinesOperator if few else CartesianOperator
    return chosen(device, CartesianMatrixOperator, cpu=on_cpu)(points, matrix, n_coils, device)


def whole_lines(cells: Sequence[Float[np.ndarray, "_ 2"]]) -> int:
    """The samples of a line, where the cells of every frame are whole lines along x, all at the same kx; else 0."""
    first = cells[0]
    n = int(np.append(first[:, 0] != first[0, 0], True).argmax())
    for c in cells:
        if not len(c) or len(c) % n:
            return 0
        lines = c.reshape(-1, n, 2)
        if not ((lines[..., 0] == lines[:, :1, 0]).all() and (lines[..., 1] == first[:n, 1]).all()):
            return 0
    return n if n > 1 else 0


def _cells(points: Sequence[Float[np.ndarray, "_ 2"]], matrix: tuple[int, int]) -> list[Float[np.ndarray, "_ 2"]]:
    return [np.rint(p * np.array(matrix)) for p in points]


def _by_row(maps: Complex[Tensor, "coil y x"]) -> np.ndarray:
    return as_array(maps.transpose(0, 1))


def _real(z: Complex[Tensor, "frame line coil x"]) -> Float[Tensor, "frame line number"]:
    return torch.view_as_real(z).flatten(2)


@inner
def _sides(ny, j):  # type: ignore[no-untyped-def]
    """The two rows j from the centre, which is its own; of an even number, the first has no counterpart."""
    return ny // 2 + j, ny // 2 - j


@kernel
def _fold(images, maps, folded):  # type: ignore[no-untyped-def]
    n_frames, ny, nx = images.shape
    half = ny // 2 + 1
    for task in prange(n_frames * half):
        frame, j = task // half, task % half
        above, below = _sides(ny, j)
        for coil in range(maps.shape[1]):
            even, odd = folded[frame, j, coil], folded[frame, half + j, coil]
            if j > 0 and above < ny:
                x, y, s, t = images[frame, above], images[frame, below], maps[above, coil], maps[below, coil]
                for i in range(nx):
                    a, b = x[i] * s[i], y[i] * t[i]
                    even[i] = a + b
                    odd[i] = np.complex64(-1j) * (a - b)
            else:
                y, t = images[frame, below], maps[below, coil]
                for i in range(nx):
                    b = y[i] * t[i]
                    even[i] = b
                    odd[i] = np.complex64(1j) * b


@kernel
def _unfold(folded, maps, images, of_images, of_maps):  # type: ignore[no-untyped-def]
    """of_images = sum_c conj(maps) z, of_maps += sum_f conj(images) z, if any; z: coil images, folded."""
    n_frames, ny, nx = images.shape
    half = ny // 2 + 1
    for j in prange(half):
        above, below = _sides(ny, j)
        z = np.empty(nx, np.complex64)
        for frame in range(n_frames):
            for side in range(2 if j > 0 and above < ny else 1):
                row, turn = (above, np.complex64(1j)) if side else (below, np.complex64(-1j))
                of_images[frame, row] = 0
                for coil in range(maps.shape[1]):
                    even, odd = folded[frame, j, coil], folded[frame, half + j, coil]
                    for i in range(nx):
                        z[i] = even[i] + turn * odd[i]
                    add_conjugate(z, maps[row, coil], of_images[frame, row])
                    if len(of_maps):
                        add_conjugate(z, images[frame, row], of_maps[row, coil])


@kernel
def _take(lines, columns, shift, starts, n_lines, y):  # type: ignore[no-untyped-def]
    """The samples of the lines, one coil after another."""
    n = len(columns)
    for frame in prange(len(n_lines)):
        for line in range(n_lines[frame]):
            first = (starts[frame] + line) * n
            for coil in range(len(y)):
                for s in range(n):
                    y[coil, first + s] = lines[frame, line, coil, columns[s]] * shift[s]


@kernel
def _put(y, columns, shift, starts, n_lines, lines):  # type: ignore[no-untyped-def]
    """The adjoint of `_take`, onto lines that are zero."""
    n = len(columns)
    for frame in prange(len(n_lines)):
        for line in range(n_lines[frame]):
            first = (starts[frame] + line) * n
            for coil in range(len(y)):
                for s in range(n):
                    lines[frame, line, coil, columns[s]] += y[coil, first + s] * np.conj(shift[s])
