"""Multiresolution grid encoding in two dimensions (Mueller et al., ACM ToG 2022;41:102), in torch.

Level l cuts the unit square into N_l cells a side and holds F features at their corners, in a table of at most T
entries: `hash` scatters larger levels over the table, `tiled` repeats them with period T, `dense` stores every corner.
Features are interpolated bilinearly. Layout, level sizes and hash are those of tiny-cuda-nn, so that tables move
between the two.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dainr.errors import BadRequest
from dainr.kernels.compiling import chosen, on_cuda
from dainr.kernels.hash_grid import Level, interpolate
from dainr.kernels.hash_grid_cpu import interpolate_cpu
from dainr.settings.bounds import check_bounds, within

INIT_RANGE = 1e-4
Indexing = Literal["hash", "tiled", "dense"]


@dataclass(frozen=True)
class GridConfig:
    """Shape of a multiresolution grid, in the paper's symbols L, F, N_min, N_max and log2 T."""

    levels: int = within(16, 1, 32)  # L
    features_per_level: int = within(2, 1, 32)  # F
    base: int = within(16, 1, 65_536)  # N_min
    finest: int = within(2048, 1, 1_048_576)  # N_max
    log2_table: int = within(19, 4, 28)  # log2 T
    indexing: Indexing = "tiled"

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.finest < self.base:
            raise BadRequest(f"finest={self.finest}", f"it is less than base={self.base}", "choose more")

    @property
    def growth(self) -> float:
        """Ratio b between the resolutions of neighbouring levels."""
        return (self.finest / self.base) ** (1 / max(self.levels - 1, 1))


def grid_levels(config: GridConfig) -> list[Level]:
    """The levels of a grid and where they lie in its table; in single precision, whose rounding decides some sizes."""
    levels, offset = [], 0
    octaves = np.log2(np.float32(config.growth))
    for index in range(config.levels):
        scale = float(np.exp2(np.float32(index) * octaves) * np.float32(config.base) - np.float32(1))
        resolution = math.ceil(scale) + 1
        size = 8 * math.ceil(resolution**2 / 8)
        if config.indexing != "dense":
            size = min(size, 2**config.log2_table)
        hashed = config.indexing == "hash" and resolution**2 > size
        levels.append(Level(resolution, scale, offset, size, hashed))
        offset += size
    return levels


class HashGrid(nn.Module):
    """The encoding as a module; `table` is its only parameter, `entry feature`."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        self.config, self.levels = config, grid_levels(config)
        self.n_features = config.levels * config.features_per_level
        entries = self.levels[-1].offset + self.levels[-1].size
        self.table = nn.Parameter(torch.empty(entries, config.features_per_level).uniform_(-INIT_RANGE, INIT_RANGE))

    def forward(self, positions: Float[Tensor, "point 2"]) -> Float[Tensor, "point feature"]:
        """Features at positions (x, y) in the unit square; those outside it are moved to its edge."""
        positions = positions.clamp(0, 1)
        single = self.table.dtype == torch.float32
        read = chosen(positions.device, interpolate, cpu=interpolate_cpu if single else None, cuda=_interpolate_cuda)
        return read(positions, self.table, self.levels)


_interpolate_cuda = on_cuda("hash_grid_cuda.interpolate_cuda", interpolate)
