"""Reading a multiresolution grid in plain torch: levels, hash and bilinear interpolation (Mueller et al., 2022).

Layout and hash are those of tiny-cuda-nn, so that tables move between the two.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from dainr.kernels.constant import constant

PRIME = 2654435761  # for y; x is taken as it is


@dataclass(frozen=True)
class Level:
    """One level: corners a side, cells per unit length, and its part of the table."""

    resolution: int
    scale: float
    offset: int
    size: int
    hashed: bool


def interpolate(
    positions: Float[Tensor, "point 2"], table: Float[Tensor, "entry per_level"], levels: list[Level]
) -> Float[Tensor, "point feature"]:
    """The encoding in plain torch, all levels at once: what the compiled passes are held to, and the path without."""
    index, weights = corners(positions, levels)
    return (weights[..., None] * table[index]).sum(2).flatten(1)


def corners(
    positions: Float[Tensor, "point 2"], levels: list[Level]
) -> tuple[Int64[Tensor, "point level 4"], Float[Tensor, "point level 4"]]:
    """The table entries of the corners around each position, and their weights."""
    scale = constant(tuple(level.scale for level in levels), positions.dtype, positions.device)
    cell = positions[:, None] * scale[:, None] + 0.5
    corner = cell.detach().floor()
    x, y = (cell - corner).unbind(2)
    i, j = corner.nan_to_num(0.0).long().unbind(2)  # NaN stays in the weights
    columns, rows = torch.stack([i, i, i + 1, i + 1], 2), torch.stack([j, j + 1, j, j + 1], 2)
    weights = torch.stack([(1 - x) * (1 - y), (1 - x) * y, x * (1 - y), x * y], 2)
    return entry_index(columns, rows, levels), weights


def entry_index(
    i: Int64[Tensor, "point level corner"], j: Int64[Tensor, "point level corner"], levels: list[Level]
) -> Int64[Tensor, "point level corner"]:
    """Table entries of the corners (i, j) of the levels."""
    size, resolution, offset, hashed = (
        constant(tuple(getattr(level, name) for level in levels), torch.int64, i.device)[:, None]
        for name in ("size", "resolution", "offset", "hashed")
    )
    index = torch.where(hashed > 0, i ^ ((j * PRIME) & 0xFFFFFFFF), i + j * resolution)
    return offset + index % size
