"""A sparse matrix times a dense one of few columns, on CUDA: one launch, no atomics.

A program sums some rows, several of their entries side by side, which always meet in the same order. The transpose is
a matrix of its own, so that nothing is scattered. One very long row would keep a program busy while all others have
ended: such rows are cut into pieces, and a second launch adds these up.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int
from torch import Tensor

from dainr.kernels.compiling_cuda import in_order, launch

TILE = 2048  # products of an entry and a number of the dense matrix that a program has under way
COLUMNS = 64  # of the dense matrix that a program takes, at most
PIECE = 256  # entries of a row that a program sums, at most


def product_of(
    first: Int[Tensor, " limit"], columns: Int[Tensor, " entry"], values: Float[Tensor, " entry"]
) -> Callable[[Tensor], Tensor]:
    """The product with a matrix in CSR layout, `first` being where its rows begin and end, by one launch or two."""
    lengths = first.diff()
    if not len(lengths) or int(lengths.max()) <= PIECE:
        return partial(product_cuda, first, columns, values)
    counts = (lengths + PIECE - 1) // PIECE
    ends = counts.cumsum(0)
    row = torch.repeat_interleave(torch.arange(len(lengths), device=first.device), counts)
    piece = torch.arange(len(row), dtype=first.dtype, device=first.device)
    begins = first[row] + (piece - (ends - counts)[row].to(first.dtype)) * PIECE
    pieces = torch.cat([begins, first[-1:]]), columns, values
    sums = torch.cat([first[:1], ends.to(first.dtype)]), piece, torch.ones_like(values[: len(piece)])

    def product(dense: Tensor) -> Tensor:
        return product_cuda(*sums, product_cuda(*pieces, dense))

    return product


def product_cuda(
    first: Int[Tensor, " limit"],
    columns: Int[Tensor, " entry"],
    values: Float[Tensor, " entry"],
    dense: Float[Tensor, "column number"],
) -> Float[Tensor, "row number"]:
    """The product of a matrix in CSR layout with a dense one."""
    n_rows, n_numbers = len(first) - 1, dense.shape[1]
    out = dense.new_empty(n_rows, n_numbers)
    width = min(triton.next_power_of_2(n_numbers), COLUMNS)
    mean = math.ceil(len(values) / max(n_rows, 1))
    entries = min(max(triton.next_power_of_2(mean), 4), 64)
    rows = max(TILE // (width * entries), 1)
    grid = triton.cdiv(n_rows, rows), triton.cdiv(n_numbers, width)
    sizes = {"NUMBERS": n_numbers, "ROWS": rows, "ENTRIES": entries, "WIDTH": width}
    launch(_sparse_product, grid, first, columns, values, in_order(dense), out, n_rows, **sizes)
    return out


@triton.jit
def _sparse_product(  # type: ignore[no-untyped-def]
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
