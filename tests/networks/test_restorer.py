"""Restored frames: phases and the time average stay, only what moves is corrected."""

import pytest
import torch
from torch import Tensor

from dainr.networks.encoders.mdsr import MDSR
from dainr.networks.restorer import MARGIN, Restorer, has_bfloat16, motion_share, moving_parts
from dainr.networks.weights import load_encoder


class Scripted(MDSR):
    """Returns what it is told to make of the triples it sees, and keeps those."""

    def __init__(self, change: float = 0.0) -> None:
        super().__init__()
        self.restores_frames = True
        self.change, self.seen = change, list[Tensor]()
        self.tail = torch.nn.Sequential(torch.nn.Identity())

    def trunk(self, x: Tensor, scale: int = 2) -> Tensor:
        self.seen.append(x)
        return x + self.change * torch.arange(len(x))[:, None, None, None]


def series(n_frames: int = 5) -> Tensor:
    """A disc that moves over a still ramp, with a smooth phase."""
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(40.0), indexing="ij")
    frames = [0.2 + 0.01 * x + ((y - 20 - t) ** 2 + (x - 16) ** 2 < 30) for t in range(n_frames)]
    return torch.polar(torch.stack(frames), (0.05 * x + 0.3).expand(n_frames, -1, -1))


def test_a_network_that_changes_nothing_changes_nothing() -> None:
    torch.testing.assert_close(Restorer(Scripted(), cyclic=True)(series())[0], series(), atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("weights", ["random"])
def test_phases_and_the_time_average_stay(weights: str) -> None:
    before = series()
    after, _ = Restorer(load_encoder("mdsr", weights, 0), cyclic=True)(before)
    assert not torch.allclose(after, before, atol=1e-3)
    turned = after * before.conj()
    torch.testing.assert_close(turned.imag, torch.zeros_like(turned.imag), atol=1e-4, rtol=0)
    positive = (after.abs() > 0).all(0)
    torch.testing.assert_close(after.abs().mean(0)[positive], before.abs().mean(0)[positive], atol=1e-4, rtol=1e-4)


def test_a_correction_is_in_units_of_the_series() -> None:
    before = series()
    one, ten = (Restorer(Scripted(0.01), cyclic=True)(gain * before)[0] for gain in (1, 10))
    torch.testing.assert_close(ten, 10 * one, atol=1e-3, rtol=1e-3)


@pytest.fixture(params=[True, False], ids=["bfloat16", "float32"])
def fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr("dainr.networks.restorer.has_bfloat16", lambda device: request.param)
    return bool(request.param)


@pytest.mark.parametrize(("cyclic", "first", "last"), [(True, (4, 0, 1), (3, 4, 0)), (False, (0, 0, 1), (3, 4, 4))])
def test_a_frame_is_seen_between_its_neighbours(
    fast: bool, cyclic: bool, first: tuple[int, int, int], last: tuple[int, int, int]
) -> None:
    network = Scripted()
    frames = series()
    Restorer(network, cyclic)(frames)
    seen = torch.cat(network.seen)
    assert len(seen) == (5 if fast else 3)
    [(rows, columns)] = moving_parts(motion_share(frames.abs()))
    part = frames.abs()[:, rows, columns]
    white = part.max() / seen.max()
    for shown, numbers in ((seen[0], first), (seen[-1], last)):
        torch.testing.assert_close(shown * white, part[list(numbers)], atol=2e-2 if fast else 1e-4, rtol=1e-2)


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("n_frames", [4, 5])
def test_frames_that_are_not_seen_between_theirs_are_seen_beside_them(
    monkeypatch: pytest.MonkeyPatch, cyclic: bool, n_frames: int
) -> None:
    monkeypatch.setattr("dainr.networks.restorer.has_bfloat16", lambda device: False)
    torch.testing.assert_close(Restorer(Scripted(), cyclic)(series(n_frames))[0], series(n_frames))


def test_only_what_moves_is_corrected() -> None:
    before = series()
    after, motion = Restorer(load_encoder("mdsr", "random", 0), cyclic=True)(before)
    [(rows, columns)] = moving_parts(motion_share(before.abs()))
    assert 0 <= rows.start <= 14 and rows.stop >= 26
    assert columns.start <= 10 and 22 <= columns.stop < 40
    outside = torch.ones(48, 40, dtype=torch.bool)
    outside[rows, columns] = False
    torch.testing.assert_close(after[:, outside], before[:, outside])
    assert not motion[outside].any() and motion[~outside].any()


def test_each_place_that_moves_has_a_part_of_its_own_and_a_speck_has_none() -> None:
    motion = torch.zeros(60, 90)
    motion[20:40, 10:30], motion[22:36, 60:80], motion[50, 45] = 1, 0.9, 1
    motion[5:15, 40:55] = 0.5
    assert moving_parts(motion) == [
        (slice(20 - MARGIN, 40 + MARGIN), slice(10 - MARGIN, 30 + MARGIN)),
        (slice(22 - MARGIN, 36 + MARGIN), slice(60 - MARGIN, 80 + MARGIN)),
    ]


def test_of_many_equal_places_each_counts_and_of_one_in_another_the_larger() -> None:
    motion = torch.zeros(100, 100)
    motion[5::20, 5::20] = 1
    assert len(moving_parts(motion)) == 25
    ring = torch.zeros(60, 60)
    ring[20:40, 20:40] = 1
    ring[22:38, 22:38] = 0
    ring[28:32, 28:32] = 1
    assert moving_parts(ring) == [(slice(20 - MARGIN, 40 + MARGIN),) * 2]


def test_motion_counts_from_0_where_nothing_changes_to_1() -> None:
    motion = motion_share(series().abs())
    assert motion[20, 16] == 1 and motion[40, 35] == 0
    assert (motion >= 0).all() and (motion <= 1).all()
    still = motion_share(torch.ones(3, 16, 16))
    assert not still.any()
    assert moving_parts(still) == []


@pytest.mark.parametrize("n_frames", [1, 2])
def test_short_and_empty_series_come_back(n_frames: int) -> None:
    for frames in (series(n_frames), torch.zeros(n_frames, 8, 8, dtype=torch.complex64)):
        restored, _ = Restorer(load_encoder("mdsr", "random", 0), cyclic=False)(frames)
        assert restored.shape == frames.shape and restored.isfinite().all()


@pytest.mark.parametrize(("capability", "has"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_bfloat16_is_not_what_older_cards_emulate(
    capability: tuple[int, int], has: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability if device.index == 1 else (0, 0))
    assert has_bfloat16(torch.device("cuda:1")) is has
