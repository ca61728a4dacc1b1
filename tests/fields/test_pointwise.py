"""The composed field: identity without deformation, continuity in time and space, any matrix."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dainr.fields.canonical import CanonicalConfig
from dainr.fields.deformation import DeformationConfig
from dainr.fields.hash_grid import GridConfig
from dainr.fields.pointwise import PointwiseField
from dainr.kernels.coordinates import pixel_coordinates
from dainr.networks.condition import FeatureMaps
from tests.fields import batch

TIMES = [0.0, 0.1, 0.3, 0.35]  # not evenly spaced
MATRIX = (9, 12)
CANONICAL = CanonicalConfig(table=GridConfig(levels=3, finest=32, log2_table=10), degree_xy=3, width=8)
ENCODINGS = ("frequency", "hash", "none")


def make(
    encoding: str = "frequency", times: list[float] = TIMES, features: bool = False, **changes: Any
) -> PointwiseField:
    """A field of random weights whose table is not near zero."""
    torch.manual_seed(0)
    table = GridConfig(levels=3, finest=32, log2_table=10, indexing="hash")
    deformation = DeformationConfig(encoding=encoding, table=table, width=8, layers=3, **changes)
    maps = FeatureMaps(torch.rand(len(times), *MATRIX, 3).half()) if features else None
    field = PointwiseField(deformation, CANONICAL, "native", times, MATRIX, maps)
    torch.nn.init.normal_(field.canonical.grid.table)
    return field


def largest_change(a: Tensor, b: Tensor) -> float:
    return float((a - b).detach().abs().max() / a.detach().abs().max())


def test_zero_deformation_is_the_identity() -> None:
    still, moving = make("none"), make("frequency")
    moving.canonical.load_state_dict(still.canonical.state_dict())
    assert largest_change(still.render(TIMES, MATRIX), moving.render(TIMES, MATRIX)) > 1e-3
    for layer in moving.deformation.net.layers:
        torch.nn.init.zeros_(layer.weight)
    assert torch.equal(still.render(TIMES, MATRIX), moving.render(TIMES, MATRIX))


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("features", [False, True], ids=["bare", "features"])
def test_forward_renders_the_times_of_the_batch(encoding: str, features: bool) -> None:
    field = make(encoding, features=features)
    images = field(batch(TIMES))
    assert images.shape == (4, *MATRIX)
    assert images.dtype == torch.complex64
    torch.testing.assert_close(images, field.render(TIMES, MATRIX))
    torch.testing.assert_close(field(batch([TIMES[2]]))[0], images[2])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("features", [False, True], ids=["bare", "features"])
@pytest.mark.parametrize("time", [0.05, 0.0999999, 0.1, 0.2, 0.2999999, 0.34])
def test_a_small_step_in_time_changes_little(encoding: str, features: bool, time: float) -> None:
    field = make(encoding, features=features)
    near, far = field.render([time], MATRIX), field.render([time + 2e-6], MATRIX)
    assert largest_change(near, far) < 1e-3
    assert largest_change(field.render([0.0], MATRIX), field.render([0.3], MATRIX)) > 1e-2


def test_frames_before_the_first_and_after_the_last_show_those() -> None:
    field = make(features=True)
    images = field.render([-5.0, 0.0, 0.35, 99.0], MATRIX)
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[2], images[3])


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_finer_matrix_passes_through_the_pixels_of_the_coarser(encoding: str) -> None:
    field = make(encoding)
    coarse, fine = field.render([0.2], MATRIX)[0], field.render([0.2], (27, 36))[0]
    torch.testing.assert_close(fine[1::3, 1::3], coarse, rtol=1e-3, atol=1e-4)


def test_a_small_step_in_space_changes_little() -> None:
    field = make(degree_xy=2)
    fine = field.render([0.2], (900, 12))[0]
    assert largest_change(fine[1:], fine[:-1]) < 0.2
    assert largest_change(fine[:1], fine[450:451]) > 0.2


def test_rendering_other_matrices_leaves_the_first_as_it_was() -> None:
    field = make(features=True)
    before = field.render(TIMES, MATRIX)
    assert field.render([0.1], (5, 31)).shape == (1, 5, 31)
    assert torch.equal(field.render(TIMES, MATRIX), before)


def test_frames_measured_at_the_same_time_can_be_rendered() -> None:
    assert make(times=[0.0, 0.0, 1.0]).render([0.0, 0.5], MATRIX).isfinite().all()


def test_displacement_is_in_pixels_along_x_and_y() -> None:
    field = make()
    points = pixel_coordinates(MATRIX, torch.device("cpu"))
    by_hand = field.deformation(field.deformation.encode(points), torch.ones(1, 1))
    in_pixels = (by_hand * torch.tensor([6.0, 4.5])).T.reshape(1, 2, *MATRIX)
    torch.testing.assert_close(field.displacement([3.0], MATRIX), in_pixels)
    assert not make("none").displacement([1.5], MATRIX).any()


def test_saved_state_holds_times_and_weights_but_no_features() -> None:
    names = set(make(features=True).state_dict())
    assert "frame_times" in names
    assert not any(name.startswith("features") for name in names)
