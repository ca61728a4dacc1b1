"""The Huber loss of residuals on CUDA: value and gradient in one launch.

A program takes some points, coil by coil, and leaves its share of the value; torch adds the shares up.
"""

import triton
import triton.language as tl
from torch import Tensor

from dainr.kernels.compiling_cuda import in_order, launch, load_complex, store_complex

POINTS = 256  # a program takes at a time


def huber_cuda(samples: Tensor, kspace: Tensor, weight: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """sum_j w_j h(|r_j|), r: samples less k-space, both `coil point`; w r h'(|r|) / |r| takes the samples' place.

    Also sum_c |r|^2 of every point.
    """
    n_coils, n_points = samples.shape
    n_programs = triton.cdiv(n_points, POINTS)
    values, squares = weight.new_empty(n_programs), weight.new_empty(n_points)
    of_points = in_order(weight), in_order(threshold)
    sizes = n_coils, n_points
    launch(_huber, (n_programs,), samples, in_order(kspace), *of_points, values, squares, *sizes, POINTS=POINTS)
    return values.sum(), squares


@triton.jit
def _huber(  # type: ignore[no-untyped-def]
    samples, kspace, weight, threshold, values, squares, n_coils, n_points, POINTS: tl.constexpr
):
    point = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    inside = point < n_points
    w = tl.load(weight + point, inside, 0.0)
    limit = tl.load(threshold + point, inside, 0.0)
    value = tl.full((POINTS,), 0.0, tl.float32)
    square = tl.full((POINTS,), 0.0, tl.float32)
    for coil in range(n_coils):
        index = point + tl.full((), coil, tl.int64) * n_points
        a, b = load_complex(samples, index, inside)
        c, d = load_complex(kspace, index, inside)
        real, imaginary = a - c, b - d
        energy = real * real + imaginary * imaginary
        size = tl.sqrt(energy)
        near = tl.where(size > limit, limit, size)  # NaN stays NaN
        square += energy
        value += w * near * (size - 0.5 * near)
        factor = w * near / tl.where(size > 1.1754944e-38, size, 1.1754944e-38)
        store_complex(samples, index, factor * real, factor * imaginary, inside)
    tl.store(squares + point, square, inside)
    tl.store(values + tl.program_id(0), tl.sum(value, 0))
