"""The warp on CUDA: one launch forward, one and a conversion backward.

Many pixels may have been read from one, so the gradient to the images is scattered; fixed_point_cuda.py says how.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.kernels import fixed_point_cuda as fixed_point
from dainr.kernels.compiling_cuda import in_order, launch, load_complex, store_complex
from dainr.kernels.fixed_point_cuda import add, power_of_two

PIXELS = 128  # a program takes at a time


def warp_cuda(images: Tensor, displacement: Tensor) -> Tensor:
    """The warp of `frame y x` by `frame 2 y x`, differentiable in both."""
    return _Warp.apply(images, displacement)


class _Warp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, displacement: Tensor) -> Tensor:
        images, displacement = in_order(images), in_order(displacement)
        ctx.save_for_backward(images, displacement)
        warped = torch.empty_like(images)
        launch(_warp_forward, _grid(images), images, displacement, warped, *images.shape[1:], PIXELS=PIXELS)
        return warped

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        images, displacement = ctx.saved_tensors
        gradient = in_order(gradients[0])
        sums = fixed_point.begin(torch.view_as_real(gradient), (*images.shape, 2))
        to_images, to_displacement = torch.empty_like(images), torch.empty_like(displacement)
        others = *sums[:3], to_displacement, *images.shape[1:], sums.unit
        launch(_warp_backward, _grid(images), images, displacement, gradient, *others, PIXELS=PIXELS)
        fixed_point.write(sums, to_images)
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
def _warp_forward(images, displacement, warped, ny, nx, PIXELS: tl.constexpr):  # type: ignore[no-untyped-def]
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
def _warp_backward(  # type: ignore[no-untyped-def]
    images,
    displacement,
    gradient,
    sums,
    largest,
    nowhere,
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
    share = tl.where(finite, real / power_of_two(most), 0.0)
    share_imaginary = tl.where(finite, imaginary / power_of_two(most), 0.0)
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
            add(sums, 2 * cell, weight * share, unit, inside)
            add(sums, 2 * cell + 1, weight * share_imaginary, unit, inside)
    tl.store(to_displacement + 2 * frame + pixel, to_x, inside)
    tl.store(to_displacement + 2 * frame + ny * nx + pixel, to_y, inside)
    tl.store(nowhere + tl.program_id(1) + 0 * pixel, tl.where(finite, 0.0, float("nan")), inside & (finite == 0))
