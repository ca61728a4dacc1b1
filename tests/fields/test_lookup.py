"""The grid at fixed positions, as a matrix: the same numbers as the grid itself, forward and backward."""

import pytest
import torch

from dainr.fields.hash_grid import GridConfig
from dainr.fields.lookup import FixedLookup
from dainr.kernels.coordinates import pixel_coordinates
from tests.fields.test_hash_grid import CONFIGS, each, make, scattered

pytestmark = pytest.mark.usefixtures("two_threads")
PIXELS = 0.5 * (pixel_coordinates((9, 12), torch.device("cpu")) + 1)


@each
@pytest.mark.parametrize("positions", [scattered(200), PIXELS], ids=["scattered", "pixels"])
def test_features_and_gradient_are_those_of_the_grid(config: GridConfig, positions: torch.Tensor) -> None:
    grid = make(config)
    cotangent = torch.randn(len(positions), grid.n_features, generator=torch.Generator().manual_seed(2))
    results = []
    for features in (grid(positions), FixedLookup(config, positions)(grid.table)):
        (gradient,) = torch.autograd.grad((features * cotangent).sum(), grid.table)
        results.append((features.detach(), gradient))
    for reference, found in zip(*results, strict=True):
        torch.testing.assert_close(found, reference, rtol=1e-4, atol=1e-4 * float(reference.abs().max()))


def test_the_lookup_reads_the_table_it_is_given() -> None:
    grid = make(CONFIGS["hash"])
    lookup = FixedLookup(CONFIGS["hash"], PIXELS)
    torch.testing.assert_close(lookup(torch.full_like(grid.table, 2.5)), torch.full((108, grid.n_features), 2.5))
    torch.testing.assert_close(lookup(3 * grid.table), 3 * lookup(grid.table))
