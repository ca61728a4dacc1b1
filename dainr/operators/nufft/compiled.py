"""NUFFT on the CPU as apodisation, FFT and compiled gridding loops (numba): for many coils and few samples a frame.

The kernel of kernel.py. A frame of an undersampled scan has fewer samples than pixels, so what counts is how often the
images pass through memory: coil maps, apodisation and padding are one pass, and a window of 8 x 8 cells is summed
16 numbers at a time, in the vector registers. Weights and cells are worked out once. Every coil of every frame
has its own grid and no two threads meet, so the result is the same from run to run.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from numba import prange
from torch import Tensor

from dainr.kernels.coil_sums import add_conjugate
from dainr.kernels.compiling import as_array, as_lanes, inner, kernel, share_threads
from dainr.operators.fourier import FourierOperator
from dainr.operators.nufft.window import WIDTH, apodisation, oversampled, window

LANES = 2 * WIDTH  # real and imaginary part of a row of the window
ELEMENTS_AT_A_TIME = 2**19  # of the padded grids: what the caches hold


class CompiledNufftOperator(FourierOperator):
    """Coil images to k-space through compiled interpolation, single precision."""

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        self.grid = oversampled(self.matrix)
        from_centre = [np.arange(n) - n // 2 for n in self.matrix]
        alternating = (-1.0) ** np.add.outer(*from_centre)  # brings the centre of k-space to that of the grid
        self.apodisation = torch.from_numpy((apodisation(self.matrix, self.grid) * alternating).astype(np.complex64))
        positions = torch.from_numpy(np.concatenate(points) * np.array(self.grid) + np.array(self.grid) // 2)
        (first_y, along_y), (first_x, along_x) = (window(positions[:, axis]) for axis in (0, 1))
        # of every point: first cells (y, x), weights along y and along x
        self.windows = (
            torch.stack([first_y, first_x], 1).numpy(),
            along_y.numpy(),
            along_x.numpy(),
        )
        self.starts = np.concatenate([[0], np.cumsum(self.n_points)])

    def measure(
        self, images: Complex[Tensor, "frame y x"], maps: Complex[Tensor, "coil y x"]
    ) -> Complex[Tensor, "coil point"]:
        """Coil maps, apodisation and padding in one pass."""
        return self._to_points(images, maps * self.apodisation)

    def measure_adjoint(
        self,
        y: Complex[Tensor, "coil point"],
        maps: Complex[Tensor, "coil y x"],
        images: Complex[Tensor, "frame y x"] | None = None,
    ) -> tuple[Complex[Tensor, "frame y x"], Complex[Tensor, "coil y x"] | None]:
        """Both sums over the coil images in one pass."""
        of_images = torch.empty(len(self.frames), *self.matrix, dtype=torch.complex64)
        of_maps = maps.new_zeros(maps.shape) if images is not None else maps.new_zeros(0, *self.matrix)
        factors, seen = as_array(maps * self.apodisation), of_images if images is None else images
        for chosen, grids in self._to_grids(y):
            _gather(as_array(grids), as_array(seen[chosen]), factors, as_array(of_images[chosen]), as_array(of_maps))
        return of_images, None if images is None else of_maps.mul_(self.apodisation)

    def _map(self, x: Complex[Tensor, "frame coil y x"]) -> Complex[Tensor, "coil point"]:
        return self._to_points(x.flatten(0, 1), self.apodisation[None])

    def _map_adjoint(self, y: Complex[Tensor, "coil point"]) -> Complex[Tensor, "frame coil y x"]:
        images = torch.empty(len(self.frames), len(y), *self.matrix, dtype=torch.complex64)
        for chosen, grids in self._to_grids(y):
            _crop(as_array(grids), as_array(self.apodisation), as_array(images[chosen].flatten(0, 1)))
        return images

    def _to_points(self, images: Tensor, maps: Tensor) -> Complex[Tensor, "coil point"]:
        """The transform of the products of all images with all maps: the coils of the first frame, of the second."""
        n_coils, per_frame = len(images) * len(maps) // len(self.frames), len(images) // len(self.frames)
        starts, ends, offsets = self._bounds()
        y = torch.empty(n_coils, int(offsets[-1]), dtype=torch.complex64)
        chunks = self._chunks(n_coils * self.grid[0] * self.grid[1], ELEMENTS_AT_A_TIME)
        share_threads()
        grids = torch.zeros((chunks[0].stop - chunks[0].start) * n_coils, *self.grid, dtype=torch.complex64)
        for chosen in chunks:
            part = grids[: (chosen.stop - chosen.start) * n_coils]  # the margin stays zero
            _pad(as_array(images[chosen.start * per_frame : chosen.stop * per_frame]), as_array(maps), as_array(part))
            k = torch.fft.fft2(part)
            _interpolate(as_lanes(k), *self.windows, starts[chosen], ends[chosen], offsets[chosen], as_lanes(y))
        return y

    def _to_grids(self, y: Complex[Tensor, "coil point"]) -> Iterator[tuple[slice, Tensor]]:
        """The padded coil images of some frames at a time."""
        starts, ends, offsets = self._bounds()
        share_threads()
        for chosen in self._chunks(len(y) * self.grid[0] * self.grid[1], ELEMENTS_AT_A_TIME):
            k = torch.empty((chosen.stop - chosen.start) * len(y), *self.grid, dtype=torch.complex64)
            _spread(as_lanes(y), *self.windows, starts[chosen], ends[chosen], offsets[chosen], as_lanes(k))
            yield chosen, torch.fft.ifft2(k, norm="forward")

    def _bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of every frame: its first window, the one after its last, and its first point among those chosen."""
        starts, ends = self.starts[self.frames], self.starts[1:][self.frames]
        return starts, ends, np.concatenate([[0], np.cumsum(ends - starts)])


@inner
def _halves(n, grid):  # type: ignore[no-untyped-def]
    """Where pixels go on the padded grid, cyclically, so that pixel n // 2 comes to 0: (first, end, shift) twice."""
    return (0, n // 2, grid - n // 2), (n // 2, n, -(n // 2))


@inner
def _multiply(a, b, out):  # type: ignore[no-untyped-def]
    """The products of two rows."""
    for x in range(len(out)):
        out[x] = a[x] * b[x]


@kernel
def _pad(images, maps, grids):  # type: ignore[no-untyped-def]
    n_coils, (ny, nx) = len(maps), images.shape[1:]
    for task in prange(len(grids)):
        image, coil, grid = images[task // n_coils], maps[task % n_coils], grids[task]
        for y_first, y_end, y_shift in _halves(ny, grid.shape[0]):
            for x_first, x_end, x_shift in _halves(nx, grid.shape[1]):
                for y in range(y_first, y_end):
                    row = grid[y + y_shift, x_first + x_shift : x_end + x_shift]
                    _multiply(image[y, x_first:x_end], coil[y, x_first:x_end], row)


@kernel
def _crop(grids, apodisation, images):  # type: ignore[no-untyped-def]
    ny, nx = apodisation.shape
    for task in prange(len(grids)):
        image, grid = images[task], grids[task]
        for y_first, y_end, y_shift in _halves(ny, grid.shape[0]):
            for x_first, x_end, x_shift in _halves(nx, grid.shape[1]):
                for y in range(y_first, y_end):
                    row = grid[y + y_shift, x_first + x_shift : x_end + x_shift]
                    _multiply(apodisation[y, x_first:x_end], row, image[y, x_first:x_end])


@kernel
def _gather(grids, images, maps, of_images, of_maps):  # type: ignore[no-untyped-def]
    """of_images = sum_c conj(maps) g, of_maps += sum_f conj(images) g, if any; g: coil images, on their grids."""
    n_coils, ny, nx = len(maps), images.shape[1], images.shape[2]
    for y in prange(ny):
        y_grid = (y - ny // 2) % grids.shape[1]
        for frame in range(len(images)):
            of_images[frame, y] = 0
            for coil in range(n_coils):
                g = grids[frame * n_coils + coil, y_grid]
                for first, end, shift in _halves(nx, grids.shape[2]):
                    part = g[first + shift : end + shift]
                    add_conjugate(part, maps[coil, y, first:end], of_images[frame, y, first:end])
                    if len(of_maps):
                        add_conjugate(part, images[frame, y, first:end], of_maps[coil, y, first:end])


@inner
def _four(weights, i):  # type: ignore[no-untyped-def]
    """Four weights as numbers: those of an array would be loaded again after every store."""
    return weights[i], weights[i + 1], weights[i + 2], weights[i + 3]


@inner
def _sum(grid, at, n, w):  # type: ignore[no-untyped-def]
    """Four cells, a row of n apart, times their weights."""
    b, c, d = at + n, at + n + n, at + n + n + n
    return (w[0] * grid[at] + w[1] * grid[b]) + (w[2] * grid[c] + w[3] * grid[d])


@kernel
def _interpolate(grids, first, along_y, along_x, starts, ends, offsets, out):  # type: ignore[no-untyped-def]
    """A window is summed along y for all its lanes at once, in vector registers, then along x."""
    n_coils, ny, nx = len(out), grids.shape[1], grids.shape[2]
    n, down = np.uint64(nx), np.uint64(WIDTH // 2 * nx)  # unsigned: no look at negative indices
    for task in prange(len(grids)):
        frame, coil = task // n_coils, task % n_coils
        grid, values = grids[task].reshape(-1), out[coil]
        row = np.empty(LANES, np.float32)
        for p in range(starts[frame], ends[frame]):
            y, x, weights_y, weights_x = first[p, 0], 2 * first[p, 1], along_y[p], along_x[p]
            if y >= 0 and x >= 0 and y + WIDTH <= ny and x + LANES <= nx:
                start, upper, lower = np.uint64(y * nx + x), _four(weights_y, 0), _four(weights_y, WIDTH // 2)
                for j in range(np.uint64(LANES)):
                    row[j] = _sum(grid, start + j, n, upper) + _sum(grid, start + down + j, n, lower)
            else:  # the window reaches over the edge: k-space is periodic
                row[:] = 0
                for i in range(WIDTH):
                    for j in range(LANES):
                        row[j] += weights_y[i] * grid[((y + i) % ny) * nx + (x + j) % nx]
            real, imaginary = np.float32(0), np.float32(0)
            for j in range(WIDTH):
                real += weights_x[j] * row[2 * j]
                imaginary += weights_x[j] * row[2 * j + 1]
            place = 2 * (offsets[frame] + p - starts[frame])
            values[place], values[place + 1] = real, imaginary


@kernel
def _spread(values, first, along_y, along_x, starts, ends, offsets, grids):  # type: ignore[no-untyped-def]
    n_coils, ny, nx = len(values), grids.shape[1], grids.shape[2]
    lanes = np.uint64(2 * along_x.shape[1])  # as if not known: what is known to be short is unrolled, not vectorised
    for task in prange(len(grids)):
        frame, coil = task // n_coils, task % n_coils
        grid, samples = grids[task].reshape(-1), values[coil]
        grid[:] = 0
        row = np.empty(LANES, np.float32)
        for p in range(starts[frame], ends[frame]):
            y, x, weights_y, weights_x = first[p, 0], 2 * first[p, 1], along_y[p], along_x[p]
            place = 2 * (offsets[frame] + p - starts[frame])
            real, imaginary = samples[place], samples[place + 1]
            for j in range(WIDTH):
                row[2 * j] = weights_x[j] * real
                row[2 * j + 1] = weights_x[j] * imaginary
            if y >= 0 and x >= 0 and y + WIDTH <= ny and x + LANES <= nx:
                start = np.uint64(y * nx + x)  # unsigned: no look at negative indices, so that the loop is vectorised
                for i in range(WIDTH):
                    w = weights_y[i]
                    for j in range(lanes):
                        grid[start + j] += w * row[j]
                    start += np.uint64(nx)
            else:
                for i in range(WIDTH):
                    for j in range(LANES):
                        grid[((y + i) % ny) * nx + (x + j) % nx] += weights_y[i] * row[j]
