"""Feature maps: the condition of every frame, pixel and matrix."""

import pytest
import torch
from torch import Tensor

from dainr.networks.condition import FeatureMaps, trunk_features
from dainr.networks.encoders.mdsr import MDSR
from dainr.networks.weights import load_encoder

MATRIX = (6, 5)


def make(n_frames: int = 4) -> FeatureMaps:
    return FeatureMaps(torch.rand(n_frames, *MATRIX, 3, generator=torch.Generator().manual_seed(0)).half())


def neighbours(maps: FeatureMaps, before: int, after: int) -> Tensor:
    return torch.cat([maps.maps[i].float().reshape(30, 3) for i in (before, after)], 1)


@pytest.mark.parametrize(("frame", "before", "after"), [(0, 1, 1), (1, 0, 2), (2, 1, 3), (3, 2, 2)])
def test_a_frame_is_conditioned_on_its_neighbours_and_edges_use_theirs_twice(
    frame: int, before: int, after: int
) -> None:
    maps = make()
    assert torch.equal(maps.at(float(frame), MATRIX), neighbours(maps, before, after))


def test_between_frames_the_conditions_are_mixed_by_distance() -> None:
    maps = make()
    mixed = 0.75 * neighbours(maps, 0, 2) + 0.25 * neighbours(maps, 1, 3)
    torch.testing.assert_close(maps.at(1.25, MATRIX), mixed)


@pytest.mark.parametrize("frame", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("matrix", [MATRIX, (9, 4)])
def test_a_small_step_in_time_changes_little(frame: float, matrix: tuple[int, int]) -> None:
    maps = make()
    torch.testing.assert_close(maps.at(frame - 1e-4, matrix), maps.at(frame, matrix), atol=2e-4, rtol=0)


def test_times_outside_the_series_take_the_edge_frame() -> None:
    maps = make()
    assert torch.equal(maps.at(-1e-7, MATRIX), maps.at(0.0, MATRIX))
    assert torch.equal(maps.at(3.0 + 1e-7, MATRIX), maps.at(3.0, MATRIX))


@pytest.mark.parametrize(("n_frames", "frame", "neighbour"), [(1, 0, 0), (2, 0, 1), (2, 1, 0)])
def test_short_series_use_what_there_is(n_frames: int, frame: int, neighbour: int) -> None:
    maps = make(n_frames)
    assert torch.equal(maps.at(float(frame), MATRIX), neighbours(maps, neighbour, neighbour))


def test_another_matrix_reads_the_same_field_of_view_bilinearly() -> None:
    maps = make()
    tripled = maps.at(1.0, (18, 15)).reshape(18, 15, 6)
    torch.testing.assert_close(tripled[1::3, 1::3].reshape(30, 6), maps.at(1.0, MATRIX))
    flat = FeatureMaps(torch.full((4, *MATRIX, 3), 0.5).half())
    assert torch.equal(flat.at(1.3, (7, 11)), torch.full((77, 6), 0.5))


def test_a_condition_has_twice_the_channels_of_a_frame() -> None:
    maps = make()
    assert maps.n_features == 6
    assert maps.at(1.0, MATRIX).shape == (30, 6)
    assert not maps.state_dict()


@pytest.fixture(scope="module")
def network() -> MDSR:
    return load_encoder("mdsr", "random", 0)


def test_features_are_the_trunk_of_each_frame_scaled_by_its_own_range(network: MDSR) -> None:
    frames = torch.rand(2, *MATRIX, generator=torch.Generator().manual_seed(1))
    maps = trunk_features(network, frames)
    assert maps.maps.shape == (2, *MATRIX, 64)
    low, high = frames[1].min(), frames[1].max()
    grey = (2 * (frames[1] - low) / (high - low) - 1).expand(1, 3, -1, -1)
    torch.testing.assert_close(maps.maps[1].float(), network.trunk(grey)[0].permute(1, 2, 0), atol=1e-3, rtol=1e-2)
    torch.testing.assert_close(trunk_features(network, 7 * frames + 3).maps, maps.maps, atol=2e-3, rtol=1e-2)


def test_a_frame_without_contrast_has_finite_features(network: MDSR) -> None:
    assert trunk_features(network, torch.zeros(1, *MATRIX)).maps.isfinite().all()
