"""The multiresolution grid: layout, values, and the compiled loops against plain torch."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dainr.errors import BadRequest
from dainr.fields.deformation import DeformationConfig
from dainr.fields.hash_grid import INIT_RANGE, GridConfig, HashGrid, grid_levels
from dainr.kernels.hash_grid import entry_index, interpolate

pytestmark = pytest.mark.usefixtures("two_threads")
CONFIGS = {
    "one level": GridConfig(levels=1, features_per_level=3, base=8, finest=8, log2_table=10, indexing="dense"),
    "dense": GridConfig(levels=3, base=4, finest=19, log2_table=8, indexing="dense"),
    "hash": GridConfig(levels=5, base=4, finest=100, log2_table=8, indexing="hash"),
    "tiled": GridConfig(levels=5, base=4, finest=100, log2_table=8, indexing="tiled"),
}
each = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def make(config: GridConfig, seed: int = 0) -> HashGrid:
    """A grid with a table of standard normal numbers."""
    grid = HashGrid(config)
    with torch.no_grad():
        grid.table.copy_(torch.randn(grid.table.shape, generator=torch.Generator().manual_seed(seed)))
    return grid


def scattered(n: int, low: float = 0.0, high: float = 1.0) -> Tensor:
    return low + (high - low) * torch.rand(n, 2, generator=torch.Generator().manual_seed(1))


def tcnn_levels(config: GridConfig) -> list[tuple[int, int, int]]:
    """Resolution, offset and size of every level by tiny-cuda-nn's rule, which is in single precision.

    scale = exp2(level * log2(b)) * N_min - 1, resolution = ceil(scale) + 1,
    size = resolution^2 rounded up to a multiple of 8, for `hash` at most T.
    """
    levels, offset = [], 0
    log2_growth = np.log2(np.float32(config.growth))
    for level in range(config.levels):
        scale = np.exp2(np.float32(level) * log2_growth) * np.float32(config.base) - np.float32(1)
        assert scale.dtype == np.float32
        resolution = math.ceil(scale) + 1
        size = (resolution * resolution + 7) // 8 * 8
        if config.indexing == "hash":
            size = min(size, 1 << config.log2_table)
        levels.append((resolution, offset, size))
        offset += size
    return levels


@pytest.mark.parametrize(
    "config",
    [
        GridConfig(indexing="hash"),
        GridConfig(levels=6, finest=200, indexing="dense"),
        DeformationConfig().table,
        GridConfig(levels=6, finest=32, log2_table=12, indexing="hash"),
        GridConfig(levels=3, base=8, finest=16, log2_table=14, indexing="dense"),
    ],
    ids=["paper", "dense", "deformation", "five steps to twice the base", "two steps to twice the base"],
)
def test_layout_is_that_of_tiny_cuda_nn(config: GridConfig) -> None:
    assert [(v.resolution, v.offset, v.size) for v in grid_levels(config)] == tcnn_levels(config)


def test_only_levels_larger_than_the_table_are_hashed() -> None:
    levels = grid_levels(CONFIGS["hash"])
    assert [v.hashed for v in levels] == [v.resolution**2 > 256 for v in levels]
    assert any(v.hashed for v in levels)
    assert not all(v.hashed for v in levels)
    assert not any(v.hashed for v in grid_levels(CONFIGS["tiled"]))


def test_entries_are_hashed_tiled_or_counted_row_by_row() -> None:
    i, j = torch.tensor([70, 3])[:, None, None], torch.tensor([41, 0])[:, None, None]
    hashed, tiled, dense = (grid_levels(CONFIGS[name])[-1] for name in ("hash", "tiled", "dense"))
    expected = [hashed.offset + (a ^ (b * 2654435761 % 2**32)) % 256 for a, b in ((70, 41), (3, 0))]
    assert entry_index(i, j, [hashed]).flatten().tolist() == expected
    expected = [tiled.offset + (70 + 41 * tiled.resolution) % 256, tiled.offset + 3]
    assert entry_index(i, j, [tiled]).flatten().tolist() == expected
    assert entry_index(j, i, [dense])[1] == dense.offset + 3 * dense.resolution


@each
@settings(max_examples=25, deadline=None)
@given(points=st.lists(st.tuples(st.floats(-2, 3), st.floats(-2, 3)), min_size=1, max_size=20), value=st.floats(-5, 5))
def test_a_constant_table_gives_that_constant_everywhere(
    config: GridConfig, points: list[tuple[float, float]], value: float
) -> None:
    grid = HashGrid(config)
    torch.nn.init.constant_(grid.table, value)
    positions = torch.tensor(points)
    constant = torch.full((len(points), grid.n_features), value)
    torch.testing.assert_close(grid(positions), constant, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(interpolate(positions.clamp(0, 1), grid.table, grid.levels), constant)


def test_a_linear_table_gives_that_linear_function() -> None:
    config = GridConfig(levels=1, features_per_level=2, base=16, finest=16, indexing="dense")
    grid, level = HashGrid(config), grid_levels(config)[0]
    j, i = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    corners = (torch.stack([i, j], 2).reshape(-1, 2) - 0.5) / level.scale
    grid.table.data.copy_(corners)
    positions = scattered(100, 0.0, 0.95)
    torch.testing.assert_close(grid(positions), positions)


@each
@pytest.mark.parametrize("n_points", [1, 3000], ids=["one point", "several blocks"])
def test_compiled_loops_equal_plain_torch_forward_and_backward(config: GridConfig, n_points: int) -> None:
    grid = make(config)
    positions = torch.cat([scattered(n_points), torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.3]])])
    cotangent = torch.randn(len(positions), grid.n_features, generator=torch.Generator().manual_seed(2))
    results = []
    for encode in (grid, lambda p: interpolate(p, grid.table, grid.levels)):
        at = positions.clone().requires_grad_()
        features = encode(at)
        results.append([features.detach(), *torch.autograd.grad((features * cotangent).sum(), [at, grid.table])])
    for compiled, reference in zip(*results, strict=True):
        torch.testing.assert_close(compiled, reference, rtol=1e-4, atol=1e-4 * float(reference.abs().max()))


@each
def test_positions_outside_are_moved_to_the_edge_and_feel_no_gradient(config: GridConfig) -> None:
    grid = make(config)
    outside = torch.tensor([[-0.4, 0.3], [1.7, 0.3], [0.6, -9.0], [0.6, 2.0]], requires_grad=True)
    inside = torch.tensor([[0.0, 0.3], [1.0, 0.3], [0.6, 0.0], [0.6, 1.0]])
    torch.testing.assert_close(grid(outside), grid(inside), rtol=0, atol=0)
    (gradient,) = torch.autograd.grad(grid(outside).sum(), outside)
    assert not gradient[:2, 0].any()
    assert not gradient[2:, 1].any()
    assert gradient[:2, 1].any()


@each
def test_single_and_double_precision_agree(config: GridConfig) -> None:
    grid, positions = make(config), scattered(50)
    double = HashGrid(config).double()
    double.load_state_dict(grid.state_dict())
    torch.testing.assert_close(double(positions.double()).float(), grid(positions), rtol=1e-3, atol=1e-3)


def gradients(grid: HashGrid, positions: Tensor) -> list[Tensor]:
    at = positions.clone().requires_grad_()
    return [g.clone() for g in torch.autograd.grad(grid(at).square().sum(), [at, grid.table])]


@each
def test_gradients_are_the_same_bits_from_run_to_run_and_for_any_number_of_threads(config: GridConfig) -> None:
    grid, positions, n_threads = make(config), scattered(5000), torch.get_num_threads()
    first, second = gradients(grid, positions), gradients(grid, positions)
    try:
        torch.set_num_threads(1)
        alone = gradients(grid, positions)
    finally:
        torch.set_num_threads(n_threads)
    for a, b, c in zip(first, second, alone, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


def test_positions_that_are_nan_give_nan_and_touch_no_other_memory() -> None:
    program = """
import torch
from dainr.fields.hash_grid import GridConfig, HashGrid
for indexing in ("hash", "tiled"):
    grid = HashGrid(GridConfig(levels=8, finest=256, log2_table=8, indexing=indexing))
    positions = torch.full((50000, 2), float("nan"), requires_grad=True)
    features = grid(positions)
    features.sum().backward()
    assert features.isnan().all()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_is_the_only_thing_saved_and_starts_near_zero() -> None:
    grid = HashGrid(CONFIGS["hash"])
    last = grid.levels[-1]
    assert list(grid.state_dict()) == ["table"]
    assert grid.table.shape == (last.offset + last.size, 2)
    assert grid.n_features == 10
    assert 0.5 * INIT_RANGE < float(grid.table.detach().abs().max()) <= INIT_RANGE


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"levels": 0}, "levels=0: it is out of range; choose 1 to 32"),
        ({"finest": 8}, "less than base=16"),
        ({"features_per_level": 0}, "choose 1 to 32"),
        ({"log2_table": 3}, "choose 4 to 28"),
        ({"log2_table": 29}, "choose 4 to 28"),
    ],
)
def test_impossible_grids_are_refused(changes: dict[str, int], fix: str) -> None:
    with pytest.raises(BadRequest, match=fix):
        GridConfig(**changes)
