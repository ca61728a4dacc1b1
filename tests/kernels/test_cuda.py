"""The passes on CUDA against their definitions in torch: on a GPU where there is one, or in Triton's interpreter."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

triton = pytest.importorskip("triton", reason="Triton is not for this system")

from dainr.fields.hash_grid import GridConfig, HashGrid, grid_levels
from dainr.kernels.coil_sums import _combine_plain
from dainr.kernels.coil_sums_cuda import combine_cuda
from dainr.kernels.compiling import passes_of
from dainr.kernels.compiling_cuda import launch, try_out
from dainr.kernels.hash_grid import interpolate
from dainr.kernels.hash_grid_cuda import interpolate_cuda
from dainr.kernels.huber_cuda import huber_cuda
from dainr.kernels.sparse_cuda import PIECE, product_cuda, product_of
from dainr.kernels.variation_cuda import magnitude_cuda, spatial_cuda, temporal_cuda
from dainr.kernels.warp import _warp
from dainr.kernels.warp_cuda import warp_cuda
from dainr.losses.robust import _huber
from dainr.losses.smoothness import _magnitude, _spatial, _temporal
from tests.helper import random_complex
from tests.kernels.cuda_passes import PASSES, recorded, table

# numpy, in which the interpreter computes, warns of what is no number
pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
NAN = math.nan
few = settings(max_examples=4, deadline=None, phases=[Phase.generate])  # to shrink an example takes minutes
seeds = st.integers(0, 1000)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return random_complex(*shape, seed=seed).to(DEVICE)


def reals(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def assert_near(
    found: tuple[Tensor, ...], expected: tuple[Tensor, ...], tolerance: float = 1e-5, least: float = 0.0
) -> None:
    """Equal to rounding, relative to the largest number, or to the least that matters; NaN where the other has it."""
    for a, b in zip(found, expected, strict=True):
        assert a.device.type == DEVICE.type
        most = float(b.abs().nan_to_num().max()) if b.numel() else 0.0
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * max(most, least), equal_nan=True)


def test_a_kernel_of_one_line_runs() -> None:
    try_out(DEVICE)


def test_what_is_not_in_memory_order_is_refused() -> None:
    with pytest.raises(ValueError, match="as it is in memory"):
        launch({(1,): print}, (1,), torch.zeros(3, 2, device=DEVICE).T)


def sparse(lengths: list[int], n_columns: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """A matrix with rows of these numbers of entries."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.tensor([0, *lengths]).cumsum(0).int()
    columns = torch.randint(n_columns, (sum(lengths),), generator=generator).int()
    return first.to(DEVICE), columns.to(DEVICE), reals(sum(lengths), seed=seed)


def by_rows(first: Tensor, columns: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    rows = torch.repeat_interleave(first.diff())
    out = torch.zeros(len(first) - 1, dense.shape[1], device=DEVICE)
    return out.index_add_(0, rows, values[:, None] * dense[columns])


@few
@given(st.lists(st.integers(0, 9), min_size=1, max_size=90), st.sampled_from([1, 2, 4, 6, 16, 66]), seeds)
def test_a_sparse_product_is_the_sum_of_its_entries(lengths: list[int], n: int, seed: int) -> None:
    matrix, dense = sparse(lengths, 11, seed), reals(11, n, seed=seed + 1)
    assert_near((product_cuda(*matrix, dense),), (by_rows(*matrix, dense),))


@pytest.mark.parametrize("lengths", [[0, 700, 3, 0, 256, 257, 1, 0], [1000], [0, 0, 513], [3, 256]], ids=str)
def test_long_rows_are_summed_in_pieces(lengths: list[int]) -> None:
    matrix, dense = sparse(lengths, 300), reals(300, 4)
    with recorded(done=True) as launches:
        found = product_of(*matrix)(dense)
    assert_near((found,), (by_rows(*matrix, dense),))
    assert len(launches) == (2 if max(lengths) > PIECE else 1)


@pytest.mark.parametrize("n_rows", [0, 1, 3])
def test_a_matrix_without_entries_gives_zero(n_rows: int) -> None:
    found = product_of(*sparse([0] * n_rows, 5))(reals(5, 4))
    assert found.shape == (n_rows, 4)
    assert not found.any()


def test_only_rows_that_see_a_nan_have_it() -> None:
    first, columns, values = sparse([4, 4, 4], 1)
    dense = reals(3, 2)
    dense[2] = NAN
    columns[:4], columns[4:8], columns[8:] = 0, 2, 1
    found = product_cuda(first, columns, values, dense)
    assert found.isnan().any(1).tolist() == [False, True, False]


def warped(function: Callable[..., Tensor], images: Tensor, moved: Tensor, gradient: Tensor) -> tuple[Tensor, ...]:
    """The value, and the gradients to images and displacement."""
    images, moved = images.clone().requires_grad_(), moved.clone().requires_grad_()
    value = function(images, moved)
    return value.detach(), *torch.autograd.grad(value, [images, moved], gradient)


def displacements(size: float, *shape: int, seed: int = 0) -> Tensor:
    """Random ones, none a whole number of pixels: there, rounding decides between the slopes of two cells."""
    moved = size * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return (moved.floor() + 0.1 + 0.8 * (moved - moved.floor())).to(DEVICE)


@few
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 2), st.sampled_from([0.3, 3.0, 30.0]), seeds)
def test_a_warp_and_its_gradients_are_those_of_torch(ny: int, nx: int, n: int, size: float, seed: int) -> None:
    moved = displacements(size, n, 2, ny, nx, seed=seed)
    inputs = numbers(n, ny, nx, seed=seed), moved, numbers(n, ny, nx, seed=seed + 1)
    assert_near(warped(warp_cuda, *inputs), warped(_warp, *inputs), 1e-4, least=1.0)


@pytest.mark.parametrize("far", [0.4, -400.0, 1e5])
def test_a_warp_far_beyond_the_edge_shows_the_edge(far: float) -> None:
    moved = displacements(2.0, 1, 2, 21, 15)
    moved[:, :, 5:9] += far
    inputs = numbers(1, 21, 15), moved, numbers(1, 21, 15, seed=1)
    assert_near(warped(warp_cuda, *inputs), warped(_warp, *inputs), 1e-4 if abs(far) < 1e4 else 0.1)


def test_without_displacement_images_and_gradients_stay_as_they_are() -> None:
    images, gradient = numbers(2, 9, 7), numbers(2, 9, 7, seed=1)
    value, to_images, _ = warped(warp_cuda, images, torch.zeros(2, 2, 9, 7, device=DEVICE), gradient)
    assert torch.equal(value, images)
    torch.testing.assert_close(to_images, gradient)


def test_the_same_input_gives_the_same_bits() -> None:
    inputs = numbers(2, 21, 15), displacements(30.0, 2, 2, 21, 15), numbers(2, 21, 15, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(warped(warp_cuda, *inputs), warped(warp_cuda, *inputs), strict=True))


@pytest.mark.parametrize("size", [0.0, 1e-30, 1e-12, 1e20])
def test_gradients_of_any_size_come_back_in_single_precision(size: float) -> None:
    moved = displacements(1.0, 1, 2, 6, 5)
    inputs = numbers(1, 6, 5), moved, size * numbers(1, 6, 5, seed=1)
    assert_near(warped(warp_cuda, *inputs)[:2], warped(_warp, *inputs)[:2], 1e-5)


@pytest.mark.parametrize("nowhere", [NAN, math.inf, -math.inf])
def test_a_displacement_to_nowhere_is_seen_in_its_frame_and_in_no_other(nowhere: float) -> None:
    moved = torch.zeros(2, 2, 8, 6, device=DEVICE)
    moved[0, 0, 3, 2] = nowhere
    value, to_images, to_displacement = warped(warp_cuda, numbers(2, 8, 6), moved, numbers(2, 8, 6, seed=1))
    assert value.isfinite().logical_not().nonzero().tolist() == [[0, 3, 2]]
    assert not to_displacement[0, :, 3, 2].isfinite().any()
    assert not to_images[0].isfinite().any()
    assert to_images[1].isfinite().all()


@pytest.mark.parametrize("bad", [NAN, math.inf])
def test_a_gradient_that_is_no_number_is_seen(bad: float) -> None:
    gradient = numbers(2, 8, 6, seed=1)
    gradient[1, 2, 3] = bad
    _, to_images, _ = warped(warp_cuda, numbers(2, 8, 6), displacements(1.0, 2, 2, 8, 6), gradient)
    assert to_images[0].isfinite().all()
    assert not to_images[1].isfinite().any()


def test_a_pixel_that_is_no_number_is_seen() -> None:
    images = numbers(1, 8, 6)
    images[0, 4, 3] = NAN
    value, _, to_displacement = warped(warp_cuda, images, displacements(0.3, 1, 2, 8, 6), numbers(1, 8, 6, seed=1))
    assert value.isnan().any()
    assert to_displacement.isnan().any()


GRIDS = [
    GridConfig(levels=4, features_per_level=2, base=4, finest=40, log2_table=7, indexing="hash"),
    GridConfig(levels=3, features_per_level=3, base=5, finest=30, log2_table=6, indexing="tiled"),
    GridConfig(levels=1, features_per_level=1, base=16, finest=16, indexing="dense"),
]


def encoded(function: Callable[..., Tensor], config: GridConfig, positions: Tensor) -> tuple[Tensor, ...]:
    """The features, and the gradients to positions and table."""
    levels = grid_levels(config)
    table = reals(levels[-1].offset + levels[-1].size, config.features_per_level).requires_grad_()
    features = function(positions.requires_grad_(), table, levels)
    gradient = reals(*features.shape, seed=5) - 0.5
    return features.detach(), *torch.autograd.grad(features, [positions, table], gradient)


@pytest.mark.parametrize("config", GRIDS, ids=lambda config: config.indexing)
@pytest.mark.parametrize("n_points", [1, 200])
def test_an_encoding_and_its_gradients_are_those_of_torch(config: GridConfig, n_points: int) -> None:
    positions = torch.cat([reals(n_points, 2), torch.tensor([[0.0, 1.0], [1.0, 0.3]], device=DEVICE)])
    assert_near(encoded(interpolate_cuda, config, positions), encoded(interpolate, config, positions))


def test_a_grid_takes_the_encoding_of_its_device() -> None:
    grid, positions = HashGrid(GRIDS[0]).to(DEVICE), reals(20, 2)
    with passes_of("cuda"), recorded(done=True) as launches:
        features = grid(positions)
    assert len(launches) == 1
    torch.testing.assert_close(features, interpolate(positions, grid.table, grid.levels))


def test_a_position_that_is_no_number_is_seen_in_its_features_and_the_gradient_to_the_table() -> None:
    positions = reals(140, 2)
    positions[9, 1] = NAN
    features, to_positions, to_table = encoded(interpolate_cuda, GRIDS[0], positions)
    assert features.isnan().any(1).nonzero().tolist() == to_positions.isnan().any(1).nonzero().tolist() == [[9]]
    assert to_table.isnan().all()


def huber(function: Callable[..., tuple[Tensor, Tensor]], samples: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    gradient = samples.clone()
    return *function(gradient, *others), gradient


@pytest.mark.parametrize(("n_coils", "n_points"), [(1, 1), (1, 300), (3, 256), (5, 315)])
def test_the_huber_loss_and_its_gradient_are_those_of_torch(n_coils: int, n_points: int) -> None:
    samples, kspace = numbers(n_coils, n_points), numbers(n_coils, n_points, seed=1)
    samples[0, 0] = kspace[0, 0]
    inputs = samples, kspace, reals(n_points), 2 * reals(n_points, seed=1)
    assert_near(huber(huber_cuda, *inputs), huber(_huber, *inputs))


def test_a_sample_that_is_no_number_is_seen_in_the_huber_loss_and_its_gradient() -> None:
    samples = numbers(2, 300)
    samples[1, 7] = NAN
    value, squares, gradient = huber(huber_cuda, samples, numbers(2, 300, seed=1), reals(300), reals(300, seed=1))
    assert value.isnan()
    assert squares.isnan().nonzero().tolist() == [[7]]
    assert gradient.isnan().nonzero().tolist() == [[1, 7]]


SERIES = [(1, 21, 15), (2, 1, 7), (3, 6, 1), (4, 17, 20)]


@pytest.mark.parametrize("shape", SERIES, ids=str)
@pytest.mark.parametrize("cyclic", [True, False])
def test_temporal_variation_and_its_gradient_are_those_of_torch(shape: tuple[int, ...], cyclic: bool) -> None:
    inputs = numbers(*shape), cyclic, 0.3, reals(shape[0])
    assert_near(temporal_cuda(*inputs), _temporal(*inputs))


@pytest.mark.parametrize("shape", SERIES, ids=str)
@pytest.mark.parametrize(("ours", "theirs"), [(spatial_cuda, _spatial), (magnitude_cuda, _magnitude)])
@pytest.mark.parametrize("in_tensor", [True, False])
def test_other_priors_and_their_gradients_are_those_of_torch(
    shape: tuple[int, ...], ours: Callable[..., Any], theirs: Callable[..., Any], in_tensor: bool
) -> None:
    weight = torch.tensor(0.7, device=DEVICE) if in_tensor else 0.7
    assert_near(ours(numbers(*shape), 0.3, weight), theirs(numbers(*shape), 0.3, 0.7))


@pytest.mark.parametrize("prior", [partial(temporal_cuda, cyclic=True), spatial_cuda, magnitude_cuda])
def test_a_pixel_that_is_no_number_is_seen_in_a_prior_and_its_gradient(prior: Callable[..., Any]) -> None:
    series = numbers(3, 5, 4)
    series[1, 2, 2] = NAN
    value, gradient = prior(series, rounding=0.3, weight=reals(3) if isinstance(prior, partial) else 0.7)
    assert value.isnan()
    assert gradient[1, 2, 2].isnan()
    assert gradient[:, 0, 0].isfinite().all()


@pytest.mark.parametrize(("n_frames", "n_coils"), [(1, 1), (3, 5), (2, 8)])
@pytest.mark.parametrize("both", [True, False])
def test_sums_over_coils_and_frames_are_those_of_torch(n_frames: int, n_coils: int, both: bool) -> None:
    z, maps = numbers(n_frames, n_coils, 21, 15), numbers(n_coils, 21, 15, seed=1)
    images, before = numbers(n_frames, 21, 15, seed=2), numbers(n_coils, 21, 15, seed=3)
    found = []
    for function in (combine_cuda, _combine_plain):
        of_maps = before.clone()
        found.append((function(z, maps, images if both else None, of_maps if both else None), of_maps))
    assert_near(*found)


def test_sums_of_views_are_those_of_what_they_show() -> None:
    z, maps = numbers(2, 3, 8, 5).transpose(2, 3).conj(), numbers(3, 5, 8).conj()
    assert_near((combine_cuda(z, maps, None, None),), (_combine_plain(z, maps, None, None),))


LAUNCHES = {"warp and its gradients": 3, "encoding of a frame and its gradients": 3, "lookup back to the table": 2}


@pytest.mark.parametrize("name", PASSES)
def test_no_pass_reads_a_number_or_leaves_its_device(name: str) -> None:
    with recorded() as launches:
        found = PASSES[name]()  # on tensors without numbers
    assert {t.device.type for t in (found if isinstance(found, tuple) else (found,))} == {"meta"}
    assert len(launches) == LAUNCHES.get(name, 1)


def test_the_notebook_has_what_the_passes_move() -> None:
    notebook = Path(__file__).parents[2] / "docs" / "notebook.md"
    assert "\n".join(table()) in notebook.read_text(encoding="utf-8")


@pytest.mark.slow
def test_every_kernel_compiles_for_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    if not list(Path(triton.__file__).parent.glob("backends/nvidia/bin/ptxas*")):
        pytest.skip("this Triton comes without ptxas")
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.kernels.cuda_passes", "90"]
    found = subprocess.run(
        command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    assert len(found.stdout.splitlines()) >= len(PASSES)
