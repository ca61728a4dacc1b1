"""Sums of scattered contributions on CUDA that give the same bits every time.

Atomic additions come in any order, and floats added in another order differ in their last bits: the same fit would end
otherwise the next time. Integers can be added in any order. So contributions are rounded to 64-bit integers, in units
of the largest: finer than single precision for all but the smallest, and no sum of all contributions overflows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from dainr.kernels.compiling_cuda import launch

NUMBERS = 1024  # a program makes floats of
# Of 63 bits: one because the largest is up to twice its power of two, one because weights of one contribution add up
# to 1.9 at most, one to spare.
BITS = 60


class Sums(NamedTuple):
    """Sums of each group, as integers, and what they are in units of."""

    integers: Tensor
    largest: Tensor  # contribution of each group
    nowhere: Tensor  # NaN for groups with a contribution that is no number, else zero
    unit: float  # of a power of two at or below the largest


def begin(contributions: Tensor, shape: Sequence[int]) -> Sums:
    """Sums of this shape, all zero, for real contributions of each group, both `group ...`."""
    largest = torch.linalg.vector_norm(contributions.flatten(1), torch.inf, 1)
    integers = torch.zeros(*shape, dtype=torch.int64, device=contributions.device)
    unit = 2.0 ** (BITS - contributions[0].numel().bit_length())
    return Sums(integers, largest, torch.zeros_like(largest), unit)


def write(sums: Sums, out: Tensor) -> None:
    """The sums as floats; NaN where one of the group's contributions was no number, to be seen as divergence."""
    n = sums.integers[0].numel()
    grid = triton.cdiv(n, NUMBERS), len(sums.integers)
    launch(_sums_to_float, grid, *sums[:3], out, n, sums.unit, NUMBERS=NUMBERS)


@triton.jit
def power_of_two(largest):  # type: ignore[no-untyped-def]
    """The power of two at or below a number, from its bits; of nothing, one that can still be divided by."""
    power = (largest.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
    return tl.maximum(power, 1.1754944e-38)


@triton.jit
def add(integers, index, contribution, unit, mask):  # type: ignore[no-untyped-def]
    """Add contributions, in units of the largest, to sums."""
    tl.atomic_add(integers + index, (contribution * unit).to(tl.int64), mask, "relaxed")


@triton.jit
def _sums_to_float(integers, largest, nowhere, out, n, unit, NUMBERS: tl.constexpr):  # type: ignore[no-untyped-def]
    group = tl.program_id(1)
    number = tl.program_id(0) * NUMBERS + tl.arange(0, NUMBERS)
    index = group.to(tl.int64) * n + number
    value = tl.load(integers + index, number < n, 0).to(tl.float32) / unit * power_of_two(tl.load(largest + group))
    tl.store(out + index, value + tl.load(nowhere + group), number < n)
