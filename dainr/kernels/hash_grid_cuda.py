"""The grid encoding on CUDA: one launch forward; backward one for the positions and the table, and a conversion.

Many points read one entry, so the gradient to the table is scattered; fixed_point_cuda.py says how.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.kernels import fixed_point_cuda as fixed_point
from dainr.kernels.compiling_cuda import in_order, launch
from dainr.kernels.constant import constant
from dainr.kernels.fixed_point_cuda import add, power_of_two
from dainr.kernels.hash_grid import PRIME, Level

POINTS = 128  # a program takes at a time
HASH = tl.constexpr(PRIME)


def interpolate_cuda(positions: Tensor, table: Tensor, levels: list[Level]) -> Tensor:
    """The encoding of `point 2` positions in the unit square, differentiable in positions and table."""
    whole = tuple(number for v in levels for number in (v.resolution, v.offset, v.size, int(v.hashed)))
    scales = constant(tuple(v.scale for v in levels), torch.float32, positions.device)
    return _Interpolation.apply(positions, table, scales, constant(whole, torch.int64, positions.device))


class _Interpolation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, table: Tensor, scales: Tensor, levels: Tensor) -> Tensor:
        positions, table = in_order(positions), in_order(table)
        ctx.save_for_backward(positions, table, scales, levels)
        n_points, n_levels = len(positions), len(scales)
        out = positions.new_empty(n_points, n_levels * table.shape[1])
        launch(
            _encoding_forward,
            (*_grid(positions), n_levels),
            positions,
            table,
            scales,
            levels,
            out,
            n_points,
            **_sizes(table),
        )
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        positions, table, scales, levels = ctx.saved_tensors
        gradient = in_order(gradients[0])
        sums = fixed_point.begin(gradient[None], (1, *table.shape))
        to_positions, to_table = torch.empty_like(positions), torch.empty_like(table)
        seen = positions, table, scales, levels, gradient
        sizes = len(positions), len(scales), sums.unit
        launch(_encoding_backward, _grid(positions), *seen, *sums[:3], to_positions, *sizes, **_sizes(table))
        fixed_point.write(sums, to_table)
        return to_positions, to_table, None, None


def _grid(positions: Tensor) -> tuple[int]:
    return (triton.cdiv(len(positions), POINTS),)


def _sizes(table: Tensor) -> dict[str, int]:
    """Features of an entry, and the power of two at or above, which tiles need."""
    return {"FEATURES": table.shape[1], "WIDTH": triton.next_power_of_2(table.shape[1]), "POINTS": POINTS}


@triton.jit
def _place(position, scale):  # type: ignore[no-untyped-def]
    """The cell of positions along an axis, and how far into it they are."""
    place = position * scale + 0.5
    corner = tl.where(place >= 0, tl.floor(place), 0.0)  # NaN stays in the weights
    return corner.to(tl.int64), place - corner


@triton.jit
def _entry(i, j, levels):  # type: ignore[no-untyped-def]
    """Table entry of the corner (i, j) of a level."""
    index = i + j * tl.load(levels)
    if tl.load(levels + 3) != 0:
        index = i ^ ((j * HASH) & 0xFFFFFFFF)
    return tl.load(levels + 1) + index % tl.load(levels + 2)


@triton.jit
def _encoding_forward(  # type: ignore[no-untyped-def]
    positions,
    table,
    scales,
    levels,
    out,
    n_points,
    FEATURES: tl.constexpr,
    WIDTH: tl.constexpr,
    POINTS: tl.constexpr,
):
    point = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    level = tl.program_id(1)
    feature = tl.arange(0, WIDTH)
    inside = point < n_points
    known = inside[:, None] & (feature < FEATURES)[None, :]
    scale = tl.load(scales + level)
    i, x = _place(tl.load(positions + 2 * point, inside, 0.0), scale)
    j, y = _place(tl.load(positions + 2 * point + 1, inside, 0.0), scale)
    total = tl.full((POINTS, WIDTH), 0.0, tl.float32)
    for di in tl.static_range(2):
        for dj in tl.static_range(2):
            entry = _entry(i + di, j + dj, levels + 4 * level)
            seen = tl.load(table + entry[:, None] * FEATURES + feature[None, :], known, 0.0)
            weight = (x if di else 1 - x) * (y if dj else 1 - y)
            total += weight[:, None] * seen
    row = point.to(tl.int64)[:, None] * tl.num_programs(1) + level
    tl.store(out + row * FEATURES + feature[None, :], total, known)


@triton.jit
def _encoding_backward(  # type: ignore[no-untyped-def]
    positions,
    table,
    scales,
    levels,
    gradient,
    sums,
    largest,
    nowhere,
    to_positions,
    n_points,
    n_levels,
    unit,
    FEATURES: tl.constexpr,
    WIDTH: tl.constexpr,
    POINTS: tl.constexpr,
):
    point = tl.program_id(0) * POINTS + tl.arange(0, POINTS)
    feature = tl.arange(0, WIDTH)
    inside = point < n_points
    known = inside[:, None] & (feature < FEATURES)[None, :]
    position_x = tl.load(positions + 2 * point, inside, 0.0)
    position_y = tl.load(positions + 2 * point + 1, inside, 0.0)
    most = tl.load(largest)
    check = position_x + position_y + (most - most)
    finite = check == check  # neither NaN nor infinite
    to_x = tl.full((POINTS,), 0.0, tl.float32)
    to_y = tl.full((POINTS,), 0.0, tl.float32)
    for level in range(n_levels):
        scale = tl.load(scales + level)
        i, x = _place(position_x, scale)
        j, y = _place(position_y, scale)
        row = point.to(tl.int64)[:, None] * n_levels + level
        g = tl.load(gradient + row * FEATURES + feature[None, :], known, 0.0)
        share = tl.where(finite[:, None], g / power_of_two(most), 0.0)
        for di in tl.static_range(2):
            for dj in tl.static_range(2):
                entry = _entry(i + di, j + dj, levels + 4 * level)
                index = entry[:, None] * FEATURES + feature[None, :]
                along = tl.sum(g * tl.load(table + index, known, 0.0), 1) * scale
                wx, wy = (x if di else 1 - x), (y if dj else 1 - y)
                to_x += along * (wy if di else -wy)
                to_y += along * (wx if dj else -wx)
                weight = tl.where(finite, wx * wy, 0.0)
                add(sums, index, weight[:, None] * share, unit, known)
    tl.store(to_positions + 2 * point, to_x, inside)
    tl.store(to_positions + 2 * point + 1, to_y, inside)
    tl.store(nowhere + 0 * point, tl.where(finite, 0.0, float("nan")), inside & (finite == 0))
