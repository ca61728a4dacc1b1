"""The grid encoding by tiny-cuda-nn, where it is installed: same layout, same `table` in a saved state.

Used on CUDA only. It repeats `tiled` levels with the period of the coarsest one and not of the table, which is another
encoding: that indexing stays with the torch grid.
"""

from collections.abc import Callable
from typing import Any

import tinycudann
import torch
from jaxtyping import Float
from torch import Tensor, nn

from dainr.fields.hash_grid import INIT_RANGE, GridConfig, grid_levels

KINDS = {"hash": "Hash", "dense": "Dense"}


class TinyCudaNNGrid(nn.Module):
    """tiny-cuda-nn's grid with the parameter layout of `HashGrid`."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        last = grid_levels(config)[-1]
        self.shape = (last.offset + last.size, config.features_per_level)
        self.n_features = config.levels * config.features_per_level
        settings = {
            "otype": "Grid",
            "type": KINDS[config.indexing],
            "n_levels": config.levels,
            "n_features_per_level": config.features_per_level,
            "log2_hashmap_size": config.log2_table,
            "base_resolution": config.base,
            "per_level_scale": config.growth,
            "interpolation": "Linear",
        }
        encoding = tinycudann.Encoding(2, settings, dtype=torch.float32)
        self.table = encoding.params
        self.encode: Callable[[Tensor], Tensor] = encoding.__call__  # not a submodule: a state shall hold `table` alone
        with torch.no_grad():
            self.table.uniform_(-INIT_RANGE, INIT_RANGE)

    def forward(self, positions: Float[Tensor, "point 2"]) -> Float[Tensor, "point feature"]:
        """Features at positions (x, y) in the unit square; those outside it are moved to its edge."""
        return self.encode(positions.clamp(0, 1))

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}table"] = destination[f"{prefix}table"].view(self.shape)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict[f"{prefix}table"] = state_dict[f"{prefix}table"].reshape(-1)
        super()._load_from_state_dict(state_dict, prefix, *args)
