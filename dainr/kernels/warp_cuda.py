"""The warp on CUDA: one launch forward, one and a conversion backward.

Many pixels may have been read from one, so the gradient to the images is scattered, with atomic additions. Of floats
their order would show in the last bits, and the same fit would end otherwise the next time; integers can be added in
any order. So contributions are rounded to 64-bit integers, in units of about 2^-44 of the frame's largest gradient:
much finer than single precision, and no sum over all pixels overflows.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.kernels.compiling_cuda import in_order, launch, load_complex, store_complex

PIXELS = 128  # a program takes at a time
# Of 63 bits: two because weights of a pixel add up to 1.9 at most and the largest gradient is up to twice its power of
# two, one to spare.
BITS = 60


def warp_cuda(images: Tensor, displacement: Tensor) -> Tensor:
    """The warp of `frame y x` by `frame 2 y x`, differentiable in both."""
    return _Warp.apply(images, displacement)


class _Warp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, displacement: Tensor) -> Tensor:
        images, displacement = in_order(images), in_order(displacement)
        ctx.save_for_backward(images, displacement)
        warped = torch.empty_like(images)
        launch(_forward, _grid(images), images, displacement, warped, *images.shape[1:], PIXELS=PIXELS)
        return warped

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        images, displacement = ctx.saved_tensors
        gradient = in_order(gradients[0])
        ny, nx = images.shape[1:]
        largest = torch.linalg.vector_norm(torch.view_as_real(gradient), torch.inf, (1, 2, 3))
        nowhere = torch.zeros_like(largest)  # NaN for frames with a pixel that comes from there
        sums = torch.zeros(*images.shape, 2, dtype=torch.int64, device=images.device)
        to_images, to_displacement = torch.empty_like(images), torch.empty_like(displacement)
        unit = 2.0 ** (BITS - (ny * nx).bit_length())
        seen = images, displacement, gradient, largest
        launch(_backward, _grid(images), *seen, nowhere, sums, to_displacement, ny, nx, unit, PIXELS=PIXELS)
        launch(_to_float, _grid(images), sums, largest, nowhere, to_images, ny * nx, unit, PIXELS=PIXELS)
        return to_images, to_displacement


def _grid(images: Tensor) -> tuple[int, int]:
    return triton.cdiv(images.shape[1] * images.shape[2], PIXELS), len(images)


@triton.jit
def _place(pixel, displacement):  # type: ignore[no-untyped-def]
    """Of displaced pixels: the first of the four neighbours, and how far beyond the second they lie."""
    place = pixel.to(tl.float32) + displacement
    whole = tl.floor(place)
    known = tl.where(tl.abs(place) < 1e6, whole, -1e6)  # nowhere: NaN, or beyond all integers
    return known.to(tl.int32) - 1, place - whole


@triton.jit
def _weight(t, neighbour: tl.constexpr):  # type: ignore[no-untyped-def]
    """The cubic weight of a neighbour (Keys, a = -3/4)."""
    if neighbour == 0:
        weight = ((-0.75 * t + 1.5) * t - 0.75) * t
    elif neighbour == 1:
        weight = (1.25 * t - 2.25) * t * t + 1
    elif neighbour == 2:
        weight = ((-1.25 * t + 1.5) * t + 0.75) * t
    else:
        weight = (0.75 * t - 0.75) * t * t
    return weight


@triton.jit
def _slope(t, neighbour: tl.constexpr):  # type: ignore[no-untyped-def]
    """Its derivative by t."""
    if neighbour == 0:
        slope = (-2.25 * t + 3) * t - 0.75
    elif neighbour == 1:
        slope = (3.75 * t - 4.5) * t
    elif neighbour == 2:
        slope = (-3.75 * t + 3) * t + 0.75
    else:
        slope = (2.25 * t - 1.5) * t
    return slope


@triton.jit
def _cell(x0, y0, i, j, ny, nx):  # type: ignore[no-untyped-def]
    """A pixel of the window, or the one at the edge that stands for it."""
    y, x = tl.minimum(tl.maximum(y0 + i, 0), ny - 1), tl.minimum(tl.maximum(x0 + j, 0), nx - 1)
    return y * nx + x


@triton.jit
def _forward(images, displacement, warped, ny, nx, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    frame = tl.program_id(1).to(tl.int64) * ny * nx
    inside = pixel < ny * nx
    x0, tx = _place(pixel % nx, tl.load(displacement + 2 * frame + pixel, inside, 0.0))
    y0, ty = _place(pixel // nx, tl.load(displacement + 2 * frame + ny * nx + pixel, inside, 0.0))
    real = tl.full((PIXELS,), 0.0, tl.float32)
    imaginary = tl.full((PIXELS,), 0.0, tl.float32)
    for i in tl.static_range(4):
        for j in tl.static_range(4):
            a, b = load_complex(images, frame + _cell(x0, y0, i, j, ny, nx), inside)
            weight = _weight(ty, i) * _weight(tx, j)
            real += weight * a
            imaginary += weight * b
    store_complex(warped, frame + pixel, real, imaginary, inside)


@triton.jit
def _power_of_two(largest):  # type: ignore[no-untyped-def]
    """The power of two at or below a number, from its bits; of nothing, one that can still be divided by."""
    power = (largest.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
    return tl.maximum(power, 1.1754944e-38)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    images,
    displacement,
    gradient,
    largest,
    nowhere,
    sums,
    to_displacement,
    ny,
    nx,
    unit,
    PIXELS: tl.constexpr,
):
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    frame = tl.program_id(1).to(tl.int64) * ny * nx
    inside = pixel < ny * nx
    x0, tx = _place(pixel % nx, tl.load(displacement + 2 * frame + pixel, inside, 0.0))
    y0, ty = _place(pixel // nx, tl.load(displacement + 2 * frame + ny * nx + pixel, inside, 0.0))
    real, imaginary = load_complex(gradient, frame + pixel, inside)
    most = tl.load(largest + tl.program_id(1))
    check = tx + ty + real + imaginary + (most - most)
    finite = check == check  # neither NaN nor infinite
    share = unit * tl.where(finite, real / _power_of_two(most), 0.0)
    share_imaginary = unit * tl.where(finite, imaginary / _power_of_two(most), 0.0)
    to_x = tl.full((PIXELS,), 0.0, tl.float32)
    to_y = tl.full((PIXELS,), 0.0, tl.float32)
    for i in tl.static_range(4):
        for j in tl.static_range(4):
            cell = frame + _cell(x0, y0, i, j, ny, nx)
            a, b = load_complex(images, cell, inside)
            along = a * real + b * imaginary
            to_x += _weight(ty, i) * _slope(tx, j) * along
            to_y += _slope(ty, i) * _weight(tx, j) * along
            weight = tl.where(finite, _weight(ty, i) * _weight(tx, j), 0.0)
            tl.atomic_add(sums + 2 * cell, (weight * share).to(tl.int64), inside, "relaxed")
            tl.atomic_add(sums + 2 * cell + 1, (weight * share_imaginary).to(tl.int64), inside, "relaxed")
    tl.store(to_displacement + 2 * frame + pixel, to_x, inside)
    tl.store(to_displacement + 2 * frame + ny * nx + pixel, to_y, inside)
    tl.store(nowhere + tl.program_id(1) + 0 * pixel, tl.where(finite, 0.0, float("nan")), inside & (finite == 0))


@triton.jit
def _to_float(sums, largest, nowhere, to_images, n_pixels, unit, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
    frame = tl.program_id(1)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = tl.expand_dims(pixel < n_pixels, 1)
    lane = tl.expand_dims(2 * (frame.to(tl.int64) * n_pixels + pixel), 1) + tl.arange(0, 2)
    value = tl.load(sums + lane, inside, 0).to(tl.float32) / unit * _power_of_two(tl.load(largest + frame))
    tl.store(to_images + lane, value + tl.load(nowhere + frame), inside)  # NaN stays NaN, to be seen as divergence
