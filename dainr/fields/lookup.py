"""A hash grid read at fixed positions, as one constant sparse matrix.

Features at fixed points are linear in the table, so index and weight of every corner are worked out once; a step is
then one product with the matrix forward and one with its stored transpose backward, on CPU and CUDA.
"""

from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.fields.hash_grid import GridConfig, grid_levels
from dainr.kernels.coordinates import pixel_coordinates
from dainr.kernels.hash_grid import corners
from dainr.kernels.sparse import Product, csr_matrix, csr_product, transposed


class FixedLookup:
    """The features of a grid at fixed positions (x, y) in the unit square, `point feature`."""

    def __init__(self, config: GridConfig, positions: Float[Tensor, "point 2"]) -> None:
        levels = grid_levels(config)
        self.n_features = len(levels) * config.features_per_level
        columns, values = (part.flatten(0, 1) for part in corners(positions, levels))  # rows: the levels of each point
        matrix = csr_matrix(columns, values, levels[-1].offset + levels[-1].size)
        self.products = csr_product(matrix), csr_product(transposed(matrix))

    def __call__(self, table: Float[Tensor, "entry per_level"]) -> Float[Tensor, "point feature"]:
        """Features for the present table."""
        return _Product.apply(table, *self.products).view(-1, self.n_features)


@lru_cache(maxsize=3)  # of a scan: at full and half size, and at its control points
def lookup_at_pixels(config: GridConfig, matrix: tuple[int, int], device: torch.device) -> FixedLookup:
    """The features of a grid at the pixels of a matrix, or at control points; slices of one matrix share them."""
    return FixedLookup(config, 0.5 * (pixel_coordinates(matrix, device) + 1))


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, forward: Product, backward: Product) -> Tensor:
        ctx.product = backward
        return forward(table)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.product(gradients[0].contiguous()), None, None
