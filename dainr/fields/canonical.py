"""Canonical network: the complex image value at a point of canonical space, at a time, given the features there."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from dainr.fields.frequency import frequency_encode, n_frequency_features
from dainr.fields.grid import make_grid
from dainr.fields.hash_grid import GridConfig
from dainr.fields.mlp import MLP
from dainr.settings.bounds import check_bounds, within


@dataclass(frozen=True)
class CanonicalConfig:
    """Hash grid and network of canonical space; two hidden layers, then two more to (real, imaginary)."""

    table: GridConfig = field(default_factory=GridConfig)
    degree_xy: int = within(10, 0, 64)
    degree_t: int = within(6, 0, 64)
    width: int = within(64, 1, 4096)

    def __post_init__(self) -> None:
        check_bounds(self)


class Canonical(nn.Module):
    """Grid features at the deformed point; encodings of the pixel and the time, and image features beside them."""

    def __init__(self, config: CanonicalConfig, n_features: int, grid_backend: str) -> None:
        super().__init__()
        self.config = config
        self.grid = make_grid(grid_backend, config.table)
        n_grid = config.table.levels * config.table.features_per_level
        n_space, n_time = n_frequency_features(2, config.degree_xy), n_frequency_features(1, config.degree_t)
        self.geometry = MLP([n_grid + n_space + n_time + n_features, config.width, config.width])
        self.value = MLP([config.width, config.width, config.width, 2])

    def forward(
        self,
        deformed: Float[Tensor, "point 2"],
        encoded: Float[Tensor, "point feature"],
        time: Float[Tensor, "1 1"],
        features: Float[Tensor, "point channel"] | None,
    ) -> Complex[Tensor, " point"]:
        """Complex values at deformed points, coordinates in [-1, 1], for one time in [0, 1]."""
        parts = [self.grid(0.5 * (deformed + 1)), encoded, frequency_encode(time, self.config.degree_t)]
        if features is not None:
            parts.append(features)
        value = self.value([self.geometry(parts)])
        return torch.complex(value[:, 0], value[:, 1])
