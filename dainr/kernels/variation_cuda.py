"""The priors of a series on CUDA: value and gradient in one launch.

Every pixel works out its neighbours' differences again instead of waiting for them: memory is what takes time, and
they are in the cache. A program leaves its share of the value; torch adds the shares up.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from dainr.kernels.compiling_cuda import in_order, launch, load_complex, store_complex

PIXELS = 256  # a program takes at a time


def temporal_cuda(series: Tensor, cyclic: bool, rounding: float, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The temporal variation of `frame y x` and its gradient; `weight`: of every step to the next frame."""
    return _run(_temporal, series, rounding, weight, len(series), series[0].numel(), CYCLIC=cyclic)


def spatial_cuda(series: Tensor, rounding: float, weight: float | Tensor) -> tuple[Tensor, Tensor]:
    """The weighted spatial variation of `frame y x` and its gradient."""
    return _run(_spatial, series, rounding, weight, *series.shape[1:])


def magnitude_cuda(series: Tensor, rounding: float, weight: float | Tensor) -> tuple[Tensor, Tensor]:
    """The weighted sum of the magnitudes of `frame y x` and its gradient."""
    return _run(_magnitude, series, rounding, weight, series[0].numel())


def _run(
    kernel: Any, series: Tensor, rounding: float, weight: float | Tensor, *sizes: int, **constants: int
) -> tuple[Tensor, Tensor]:
    x = in_order(series)
    if isinstance(weight, float):
        weight = torch.full((), weight, dtype=torch.float32, device=x.device)
    grid = triton.cdiv(x[0].numel(), PIXELS), len(x)
    values, gradient = x.real.new_empty(grid), torch.empty_like(x)
    weight = in_order(weight).to(torch.float32)
    launch(kernel, grid, x, weight, values, gradient, rounding**2, *sizes, PIXELS=PIXELS, **constants)
    return values.sum(), gradient


@triton.jit
def _share(values, value):  # type: ignore[no-untyped-def]
    """What this program adds to the value, to its own place."""
    tl.store(values + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1), tl.sum(value, 0))


@triton.jit
def _temporal(  # type: ignore[no-untyped-def]
    series, weight, values, gradient, square, n_frames, n_pixels, PIXELS: tl.constexpr, CYCLIC: tl.constexpr
):
    frame = tl.program_id(1)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < n_pixels
    before, after = (frame + n_frames - 1) % n_frames, (frame + 1) % n_frames
    a, b = load_complex(series, before.to(tl.int64) * n_pixels + pixel, inside)
    c, d = load_complex(series, frame.to(tl.int64) * n_pixels + pixel, inside)
    e, f = load_complex(series, after.to(tl.int64) * n_pixels + pixel, inside)
    arriving, leaving = inside, inside
    if not CYCLIC:
        arriving, leaving = inside & (frame > 0), inside & (frame < n_frames - 1)
    w = tl.load(weight + before)
    factor = w / tl.sqrt((c - a) * (c - a) + (d - b) * (d - b) + square)
    real = tl.where(arriving, factor * (c - a), 0.0)
    imaginary = tl.where(arriving, factor * (d - b), 0.0)
    w = tl.load(weight + frame, (frame < n_frames - 1) | CYCLIC, 0.0)
    size = tl.sqrt((e - c) * (e - c) + (f - d) * (f - d) + square)
    real -= tl.where(leaving, w / size * (e - c), 0.0)
    imaginary -= tl.where(leaving, w / size * (f - d), 0.0)
    store_complex(gradient, frame.to(tl.int64) * n_pixels + pixel, real, imaginary, inside)
    _share(values, tl.where(leaving, w * size, 0.0))


@triton.jit
def _magnitude(  # type: ignore[no-untyped-def]
    series, weight, values, gradient, square, n_pixels, PIXELS: tl.constexpr
):
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < n_pixels
    index = tl.program_id(1).to(tl.int64) * n_pixels + pixel
    real, imaginary = load_complex(series, index, inside)
    w = tl.load(weight)
    size = tl.sqrt(real * real + imaginary * imaginary + square)
    store_complex(gradient, index, w / size * real, w / size * imaginary, inside)
    _share(values, tl.where(inside, w * size, 0.0))


@triton.jit
def _slopes(series, y, x, ny, nx, square, inside):  # type: ignore[no-untyped-def]
    """Differences of pixels to those below and to the right, none across the edge, and how long both are together."""
    a, b = load_complex(series, y * nx + x, inside)
    c, d = load_complex(series, tl.minimum(y + 1, ny - 1) * nx + x, inside)
    e, f = load_complex(series, y * nx + tl.minimum(x + 1, nx - 1), inside)
    c, d, e, f = c - a, d - b, e - a, f - b
    return c, d, e, f, tl.sqrt(c * c + d * d + e * e + f * f + square)


@triton.jit
def _spatial(  # type: ignore[no-untyped-def]
    series, weight, values, gradient, square, ny, nx, PIXELS: tl.constexpr
):
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < ny * nx
    y, x = pixel // nx, pixel % nx
    frame = 2 * tl.program_id(1).to(tl.int64) * ny * nx
    w = tl.load(weight)
    down_real, down_imaginary, real, imaginary, size = _slopes(series + frame, y, x, ny, nx, square, inside)
    real, imaginary = -w / size * (real + down_real), -w / size * (imaginary + down_imaginary)
    _share(values, tl.where(inside, w * size, 0.0))
    a, b, _c, _d, size = _slopes(series + frame, tl.maximum(y - 1, 0), x, ny, nx, square, inside)
    real += tl.where(y > 0, w / size * a, 0.0)
    imaginary += tl.where(y > 0, w / size * b, 0.0)
    _a, _b, c, d, size = _slopes(series + frame, y, tl.maximum(x - 1, 0), ny, nx, square, inside)
    real += tl.where(x > 0, w / size * c, 0.0)
    imaginary += tl.where(x > 0, w / size * d, 0.0)
    store_complex(gradient + frame, pixel, real, imaginary, inside)
