"""Reading a multiresolution grid in plain torch: levels, hash and bilinear interpolation (Mueller et al., 2022).

Layout and hash are those of tiny-cuda-nn, so that tables move between the two.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

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
    """The encoding in plain torch: what the compiled passes are held to, and where there is none, the path."""
    features = []
    for level in levels:
        cell = positions * level.scale + 0.5
        corner = cell.detach().floor()
        x, y = (cell - corner).unbind(1)
        i, j = corner.nan_to_num(0.0).long().unbind(1)  # NaN stays in the weights
        total = torch.zeros((), dtype=table.dtype, device=table.device)
        for di, wx in ((0, 1 - x), (1, x)):
            for dj, wy in ((0, 1 - y), (1, y)):
                total = total + (wx * wy)[:, None] * table[entry_index(i + di, j + dj, level)]
        features.append(total)
    return torch.cat(features, 1)


def entry_index(i: Int64[Tensor, " point"], j: Int64[Tensor, " point"], level: Level) -> Int64[Tensor, " point"]:
    """Table entry of the corner (i, j) of a level."""
    index = (i ^ ((j * PRIME) & 0xFFFFFFFF)) if level.hashed else i + j * level.resolution
    return level.offset + index % level.size
