"""The warp on the CPU: one compiled pass forward and one backward, no image permuted or copied.

The weights of a row of pixels are worked out together, in vector registers. Frames are shared among the threads, so
that no two write to one image and the result is the same from run to run.
"""

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.kernels import as_lanes, inner, kernel, share_threads

F = np.float32  # numba makes float32 times an integer float64
A = F(-0.75)
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
def _weights(t, x, out):  # type: ignore[no-untyped-def]
    """Weights of the four neighbours at distances 1 + t, t, 1 - t, 2 - t, for column x of a row."""
    u, v, w = F(1) + t, F(1) - t, F(2) - t
    out[0, x] = A * (((u - F(5)) * u + F(8)) * u - F(4))
    out[1, x] = ((A + F(2)) * t - (A + F(3))) * t * t + F(1)
    out[2, x] = ((A + F(2)) * v - (A + F(3))) * v * v + F(1)
    out[3, x] = A * (((w - F(5)) * w + F(8)) * w - F(4))


@inner
def _slopes(t, x, out):  # type: ignore[no-untyped-def]
    """Their derivatives by t."""
    u, v, w = F(1) + t, F(1) - t, F(2) - t
    out[0, x] = A * ((F(3) * u - F(10)) * u + F(8))
    out[1, x] = (F(3) * (A + F(2)) * t - F(2) * (A + F(3))) * t
    out[2, x] = (F(2) * (A + F(3)) - F(3) * (A + F(2)) * v) * v
    out[3, x] = -A * ((F(3) * w - F(10)) * w + F(8))


@inner
def _place(displacement, x, half):  # type: ignore[no-untyped-def]
    """A coordinate in pixels, from that of an undisplaced pixel."""
    return F(x) + displacement * half


@inner
def _before(place):  # type: ignore[no-untyped-def]
    """The first of four neighbours; a far one where the place is nowhere: NaN, or beyond all integers."""
    return int(np.floor(place)) - 1 if abs(place) < F(1e6) else -1000000


@inner
def _sum(values, at, w):  # type: ignore[no-untyped-def]
    """Four numbers, two apart, times their weights."""
    b, c = at + TWO, at + TWO + TWO
    return w[0] * values[at] + w[1] * values[b] + w[2] * values[c] + w[3] * values[c + TWO]


@kernel
def _forward(images, displacement, warped):  # type: ignore[no-untyped-def]
    ny, n = images.shape[1:]
    nx = n // 2
    half_x, half_y = F(nx) / F(2), F(ny) / F(2)
    for frame in prange(len(images)):
        image, out = images[frame].reshape(-1), warped[frame]
        weights_x, weights_y = np.empty((4, nx), F), np.empty((4, nx), F)
        for y in range(ny):
            dx, dy = displacement[frame, 0, y], displacement[frame, 1, y]
            for x in range(nx):
                at_x, at_y = _place(dx[x], x, half_x), _place(dy[x], y, half_y)
                _weights(at_x - np.floor(at_x), x, weights_x)
                _weights(at_y - np.floor(at_y), x, weights_y)
            for x in range(nx):
                x0, y0 = _before(_place(dx[x], x, half_x)), _before(_place(dy[x], y, half_y))
                w = weights_x[0, x], weights_x[1, x], weights_x[2, x], weights_x[3, x]
                re, im = F(0), F(0)
                if x0 >= 0 and y0 >= 0 and x0 + 3 < nx and y0 + 3 < ny:
                    at, row = np.uint64(y0 * n + 2 * x0), np.uint64(n)
                    for i in range(4):
                        re += weights_y[i, x] * _sum(image, at, w)
                        im += weights_y[i, x] * _sum(image, at + ONE, w)
                        at += row
                else:
                    for i in range(4):
                        line = min(max(y0 + i, 0), ny - 1) * n
                        for j in range(4):
                            cell, weight = line + 2 * min(max(x0 + j, 0), nx - 1), weights_y[i, x] * w[j]
                            re += weight * image[cell]
                            im += weight * image[cell + 1]
                out[y, 2 * x], out[y, 2 * x + 1] = re, im


@inner
def _add(values, at, w, factor):  # type: ignore[no-untyped-def]
    """The adjoint of `_sum`, times a factor."""
    b, c = at + TWO, at + TWO + TWO
    values[at] += w[0] * factor
    values[b] += w[1] * factor
    values[c] += w[2] * factor
    values[c + TWO] += w[3] * factor


@kernel
def _backward(images, displacement, gradient, to_images, to_displacement):  # type: ignore[no-untyped-def]
    ny, n = images.shape[1:]
    nx = n // 2
    half_x, half_y = F(nx) / F(2), F(ny) / F(2)
    for frame in prange(len(images)):
        image, to_image = images[frame].reshape(-1), to_images[frame].reshape(-1)
        weights_x, weights_y = np.empty((4, nx), F), np.empty((4, nx), F)
        slopes_x, slopes_y = np.empty((4, nx), F), np.empty((4, nx), F)
        for y in range(ny):
            dx, dy = displacement[frame, 0, y], displacement[frame, 1, y]
            for x in range(nx):
                at_x, at_y = _place(dx[x], x, half_x), _place(dy[x], y, half_y)
                _weights(at_x - np.floor(at_x), x, weights_x)
                _weights(at_y - np.floor(at_y), x, weights_y)
                _slopes(at_x - np.floor(at_x), x, slopes_x)
                _slopes(at_y - np.floor(at_y), x, slopes_y)
            for x in range(nx):
                x0, y0 = _before(_place(dx[x], x, half_x)), _before(_place(dy[x], y, half_y))
                w = weights_x[0, x], weights_x[1, x], weights_x[2, x], weights_x[3, x]
                s = slopes_x[0, x], slopes_x[1, x], slopes_x[2, x], slopes_x[3, x]
                a, b = gradient[frame, y, 2 * x], gradient[frame, y, 2 * x + 1]
                to_x, to_y = F(0), F(0)
                if x0 >= 0 and y0 >= 0 and x0 + 3 < nx and y0 + 3 < ny:
                    at, row = np.uint64(y0 * n + 2 * x0), np.uint64(n)
                    for i in range(4):
                        weight, slope = weights_y[i, x], slopes_y[i, x]
                        to_x += weight * (a * _sum(image, at, s) + b * _sum(image, at + ONE, s))
                        to_y += slope * (a * _sum(image, at, w) + b * _sum(image, at + ONE, w))
                        _add(to_image, at, w, weight * a)
                        _add(to_image, at + ONE, w, weight * b)
                        at += row
                else:
                    for i in range(4):
                        line = min(max(y0 + i, 0), ny - 1) * n
                        for j in range(4):
                            cell = line + 2 * min(max(x0 + j, 0), nx - 1)
                            along = a * image[cell] + b * image[cell + 1]
                            to_x += weights_y[i, x] * s[j] * along
                            to_y += slopes_y[i, x] * w[j] * along
                            to_image[cell] += weights_y[i, x] * w[j] * a
                            to_image[cell + 1] += weights_y[i, x] * w[j] * b
                to_displacement[frame, 0, y, x] = to_x * half_x
                to_displacement[frame, 1, y, x] = to_y * half_y
