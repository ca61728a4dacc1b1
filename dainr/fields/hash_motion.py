"""Motion from a hash grid: the control points of every temporal mode read off one multiresolution grid.

The deformation stays a cubic B-spline; only where its numbers come from differs. Coarse levels move many control points
at once, fine ones correct them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dainr.fields.hash_grid import GridConfig, HashGrid
from dainr.fields.lookup import lookup_at_pixels
from dainr.fields.mlp import MLP

LEVELS, FEATURES, COARSEST, LOG2_TABLE = 5, 4, 4, 12


class HashMotion(nn.Module):
    """Displacement modes at `side` by `side` control points, in halves of the field of view."""

    def __init__(self, modes: int, side: int, width: int) -> None:
        super().__init__()
        self.side = side
        self.grid = HashGrid(
            GridConfig(
                levels=LEVELS,
                features_per_level=FEATURES,
                base=min(COARSEST, side),
                finest=side,
                log2_table=LOG2_TABLE,
                indexing="hash",
            )
        )
        self.value = MLP([self.grid.n_features, width, 2 * modes])

    def forward(self) -> Float[Tensor, "mode 2 row column"]:
        """The control points, (x, y) displacement of every mode."""
        table: torch.Tensor = self.grid.table
        lookup = lookup_at_pixels(self.grid.config, (self.side, self.side), table.device)
        return self.value([lookup(table)]).T.reshape(-1, 2, self.side, self.side)
