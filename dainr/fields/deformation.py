"""Deformation network: where in canonical space a pixel of frame t comes from, r -> r + D(r, t)."""

from dataclasses import dataclass, field
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from dainr.fields.frequency import frequency_encode, n_frequency_features
from dainr.fields.grid import make_grid
from dainr.fields.hash_grid import GridConfig
from dainr.fields.mlp import MLP
from dainr.settings.bounds import check_bounds, within


@dataclass(frozen=True)
class DeformationConfig:
    """Encoding and network of the displacement; `encoding=none` keeps every pixel where it is."""

    encoding: Literal["frequency", "hash", "none"] = "frequency"
    degree_xy: int = within(10, 0, 64)
    degree_t: int = within(6, 0, 64)
    layers: int = within(5, 2, 64)
    width: int = within(128, 1, 4096)
    table: GridConfig = field(default_factory=lambda: GridConfig(levels=8, finest=128, log2_table=14, indexing="hash"))

    def __post_init__(self) -> None:
        check_bounds(self)


class Deformation(nn.Module):
    """Displacement (dx, dy) in units of the coordinates, half a field of view, of points at one time."""

    def __init__(self, config: DeformationConfig, grid_backend: str) -> None:
        super().__init__()
        self.config = config
        n_space = n_frequency_features(2, config.degree_xy)
        if config.encoding == "hash":
            self.grid = make_grid(grid_backend, config.table)
            n_space = config.table.levels * config.table.features_per_level
        n_time = n_frequency_features(1, config.degree_t)
        self.net = MLP([n_space + n_time, *[config.width] * (config.layers - 1), 2])

    def encode(self, points: Float[Tensor, "point 2"]) -> Float[Tensor, "point feature"]:
        """What is fixed for fixed points, where the encoding has no parameters: compute it once."""
        return frequency_encode(points, self.config.degree_xy) if self.config.encoding == "frequency" else points

    def forward(self, encoded: Float[Tensor, "point feature"], time: Float[Tensor, "1 1"]) -> Float[Tensor, "point 2"]:
        """Displacement of encoded points at a time in [0, 1]."""
        space = self.grid(0.5 * (encoded + 1)) if self.config.encoding == "hash" else encoded
        return self.net([space, frequency_encode(time, self.config.degree_t)])
