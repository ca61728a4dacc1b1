"""A hash grid read at fixed positions, as one constant sparse matrix.

Features at fixed points are linear in the table, so index and weight of every corner are worked out once; a step is
then one product with the matrix forward and one with its stored transpose backward, on CPU and CUDA.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from dainr.fields.hash_grid import GridConfig, grid_levels
from dainr.kernels.compiling import chosen
from dainr.kernels.coordinates import pixel_coordinates
from dainr.kernels.hash_grid import entry_index
from dainr.kernels.sparse_cpu import product_cpu, rows_of

Product = Callable[[Tensor], Tensor]


class FixedLookup:
    """The features of a grid at fixed positions (x, y) in the unit square, `point feature`."""

    def __init__(self, config: GridConfig, positions: Float[Tensor, "point 2"]) -> None:
        levels, device = grid_levels(config), positions.device
        n_levels = len(levels)
        self.n_features = n_levels * config.features_per_level
        rows, columns, values = [], [], []
        for number, level in enumerate(levels):
            cell = positions * level.scale + 0.5
            corner = cell.floor()
            x, y = (cell - corner).unbind(1)
            i, j = corner.long().unbind(1)
            row = torch.arange(len(positions), device=device) * n_levels + number
            for di, wx in ((0, 1 - x), (1, x)):
                for dj, wy in ((0, 1 - y), (1, y)):
                    rows.append(row)
                    columns.append(entry_index(i + di, j + dj, level))
                    values.append(wx * wy)
        size = (len(positions) * n_levels, levels[-1].offset + levels[-1].size)
        indices = torch.stack([torch.cat(rows), torch.cat(columns)])
        matrix = torch.sparse_coo_tensor(indices, torch.cat(values), size, check_invariants=True).coalesce()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its CSR tensors a beta feature
            both = matrix.to_sparse_csr(), matrix.t().coalesce().to_sparse_csr()
        product = chosen(device, _plain_product, cpu=_compiled_product)
        self.products = [product(m) for m in both]

    def __call__(self, table: Float[Tensor, "entry per_level"]) -> Float[Tensor, "point feature"]:
        """Features for the present table."""
        return _Product.apply(table, *self.products).view(-1, self.n_features)


def _plain_product(matrix: Tensor) -> Product:
    return partial(torch.matmul, matrix)


def _compiled_product(matrix: Tensor) -> Product:
    return partial(product_cpu, rows_of(matrix))


@lru_cache(maxsize=2)
def lookup_at_pixels(config: GridConfig, matrix: tuple[int, int], device: torch.device) -> FixedLookup:
    """The features of a grid at the pixels of a matrix; slices of one matrix share them, at full and half size."""
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
