"""A sparse matrix times a dense one of few columns, on CUDA: one launch, no atomics.

Rows are summed by one program each, several entries of several rows side by side: entries of a row always meet in the
same order. The transpose is a matrix of its own, so that nothing is scattered.
"""

import math

import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from dainr.kernels.compiling_cuda import in_order, launch

TILE = 2048  # products of an entry and a number of the dense matrix that a program has under way
COLUMNS = 64  # of the dense matrix that a program takes, at most
TURNS = 32  # of the loop over the longest row; it may hold the whole launch up


def product_cuda(
    first: Int[Tensor, " limit"],
    columns: Int[Tensor, " entry"],
    values: Float[Tensor, " entry"],
    longest: int,
    dense: Float[Tensor, "column number"],
) -> Float[Tensor, "row number"]:
    """The product of a matrix in CSR layout, `first` being where its rows begin and end, with a dense matrix.

    `longest` is the number of entries of the longest row: of very unequal rows more entries are taken at a time.
    """
    n_rows, n_numbers = len(first) - 1, dense.shape[1]
    out = dense.new_empty(n_rows, n_numbers)
    width = min(triton.next_power_of_2(n_numbers), COLUMNS)
    mean = math.ceil(len(values) / max(n_rows, 1))
    entries = min(max(triton.next_power_of_2(max(mean, longest // TURNS)), 4), 64)
    rows = max(TILE // (width * entries), 1)
    grid = triton.cdiv(n_rows, rows), triton.cdiv(n_numbers, width)
    sizes = {"NUMBERS": n_numbers, "ROWS": rows, "ENTRIES": entries, "WIDTH": width}
    launch(_product, grid, first, columns, values, in_order(dense), out, n_rows, **sizes)
    return out


@triton.jit
def _product(  # type: ignore[no-untyped-def]
    first,
    columns,
    values,
    dense,
    out,
    n_rows,
    NUMBERS: tl.constexpr,  # known beforehand, so that several are read at once
    ROWS: tl.constexpr,
    ENTRIES: tl.constexpr,
    WIDTH: tl.constexpr,
):
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    number = tl.program_id(1) * WIDTH + tl.arange(0, WIDTH)
    begin = tl.load(first + row, row < n_rows, 0)
    end = tl.load(first + row + 1, row < n_rows, 0)
    total = tl.full((ROWS, ENTRIES, WIDTH), 0.0, tl.float32)
    for done in range(0, tl.max(end - begin, 0), ENTRIES):
        entry = begin[:, None] + done + tl.arange(0, ENTRIES)[None, :]
        there = entry < end[:, None]
        value = tl.load(values + entry, there, 0.0)
        column = tl.load(columns + entry, there, 0).to(tl.int64)
        read = there[:, :, None] & (number < NUMBERS)[None, None, :]
        seen = tl.load(dense + column[:, :, None] * NUMBERS + number[None, None, :], read, 0.0)
        total += value[:, :, None] * seen
    written = (row < n_rows)[:, None] & (number < NUMBERS)[None, :]
    tl.store(out + row.to(tl.int64)[:, None] * NUMBERS + number[None, :], tl.sum(total, 1), written)
