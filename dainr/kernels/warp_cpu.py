"""The warp on the CPU: one compiled pass forward and one backward, no image permuted or copied.

Frames are shared among the threads, so that no two write to one image and the result is the same from run to run.
"""

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.kernels.compiling import as_lanes, inner, kernel, share_threads
from dainr.kernels.warp_window import LANES, window_gradient, window_value

F = np.float32  # numba makes float32 times an integer float64
SIDE = LANES // 2  # pixels of a window, along x and y
ONE, TWO = np.uint64(1), np.uint64(2)  # unsigned: no look at negative indices


def warp_cpu(images: Tensor, displacement: Tensor) -> Tensor:
    """The warp of `frame y x` by `frame 2 y x`, differentiable in both."""
    return _Warp.apply(images, displacement)


class _Warp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, displacement: Tensor) -> Tensor:
        images, displacement = images.resolve_conj().contiguous(), displacement.contiguous()
        ctx.save_for_backward(images, displacement)
        warped = torch.empty_like(images)
        share_threads()
        _forward(as_lanes(images), displacement.detach().numpy(), as_lanes(warped))
        return warped

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        images, displacement = ctx.saved_tensors
        to_images, to_displacement = torch.zeros_like(images), torch.empty_like(displacement)
        share_threads()
        seen, gradient, written = map(as_lanes, (images, gradients[0], to_images))
        _backward(seen, displacement.numpy(), gradient, written, to_displacement.numpy())
        return to_images, to_displacement


@inner
def _place(displacement, x):  # type: ignore[no-untyped-def]
    """Of a displaced pixel: the first of its four neighbours, and how far beyond the second it lies."""
    place = F(x) + displacement
    whole = np.floor(place)
    first = int(whole) - 1 if abs(place) < F(1e6) else -1000000  # nowhere: NaN, or beyond all integers
    return first, place - whole


@inner
def _cell(x0, y0, i, j, nx, ny):  # type: ignore[no-untyped-def]
    """The first number of a window's pixel, or of the one at the edge that stands for it."""
    return 2 * (min(max(y0 + i, 0), ny - 1) * nx + min(max(x0 + j, 0), nx - 1))


@inner
def _read(image, x0, y0, nx, ny, window):  # type: ignore[no-untyped-def]
    """A window that reaches over the edge."""
    for i in range(SIDE):
        for j in range(SIDE):
            at, cell = LANES * i + 2 * j, _cell(x0, y0, i, j, nx, ny)
            window[at], window[at + 1] = image[cell], image[cell + 1]


@kernel
def _forward(images, displacement, warped):  # type: ignore[no-untyped-def]
    ny, n = images.shape[1:]
    nx = n // 2
    for frame in prange(len(images)):
        image, window = images[frame].reshape(-1), np.empty(SIDE * LANES, F)
        for y in range(ny):
            dx, dy, out = displacement[frame, 0, y], displacement[frame, 1, y], warped[frame, y]
            for x in range(np.uint64(nx)):
                (x0, tx), (y0, ty) = _place(dx[x], x), _place(dy[x], y)
                if x0 >= 0 and y0 >= 0 and x0 + SIDE <= nx and y0 + SIDE <= ny:
                    re, im = window_value(image, y0 * n + 2 * x0, n, tx, ty)
                else:
                    _read(image, x0, y0, nx, ny, window)
                    re, im = window_value(window, 0, LANES, tx, ty)
                out[TWO * x], out[TWO * x + ONE] = re, im


@kernel
def _backward(images, displacement, gradient, to_images, to_displacement):  # type: ignore[no-untyped-def]
    ny, n = images.shape[1:]
    nx = n // 2
    for frame in prange(len(images)):
        image, to_image = images[frame].reshape(-1), to_images[frame].reshape(-1)
        window, to_window = np.empty(SIDE * LANES, F), np.empty(SIDE * LANES, F)
        for y in range(ny):
            dx, dy, g = displacement[frame, 0, y], displacement[frame, 1, y], gradient[frame, y]
            to_dx, to_dy = to_displacement[frame, 0, y], to_displacement[frame, 1, y]
            for x in range(np.uint64(nx)):
                (x0, tx), (y0, ty) = _place(dx[x], x), _place(dy[x], y)
                re, im = g[TWO * x], g[TWO * x + ONE]
                if x0 >= 0 and y0 >= 0 and x0 + SIDE <= nx and y0 + SIDE <= ny:
                    to_x, to_y = window_gradient(image, to_image, y0 * n + 2 * x0, n, tx, ty, re, im)
                else:
                    _read(image, x0, y0, nx, ny, window)
                    to_window[:] = 0
                    to_x, to_y = window_gradient(window, to_window, 0, LANES, tx, ty, re, im)
                    for i in range(SIDE):
                        for j in range(SIDE):
                            at, cell = LANES * i + 2 * j, _cell(x0, y0, i, j, nx, ny)
                            to_image[cell] += to_window[at]
                            to_image[cell + 1] += to_window[at + 1]
                to_dx[x], to_dy[x] = to_x, to_y
