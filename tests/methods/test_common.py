"""What methods share: the time average, the scale of gridded frames, and whether a series is a cycle."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dainr.errors import BadRequest
from dainr.methods.common import KEPT_COPIES, RENDERED_COPIES, frames_that_fit
from dainr.methods.cycle import closes_cycle
from dainr.operators import FrameData, acquisition
from dainr.operators.gridding import grid_average, grid_frames
from dainr.prepare import PrepareConfig, Prepared, prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.helper import random_complex

N_FRAMES, MATRIX = 4, (10, 8)


def measure(images: Tensor, every: int = 1) -> FrameData:
    """Every so many lines of each frame, by coils of unit norm."""
    maps = random_complex(3, *MATRIX, seed=5)
    maps = maps / maps.abs().square().sum(0).sqrt()
    lines = [np.arange(t % every, MATRIX[0], every) for t in range(N_FRAMES)]
    ky = (np.concatenate(lines) - MATRIX[0] // 2) / MATRIX[0]
    kx = (np.arange(MATRIX[1]) - MATRIX[1] // 2) / MATRIX[1]
    trajectory = np.stack(np.broadcast_arrays(ky[:, None], kx), -1).astype(np.float32)
    frame = np.repeat(np.arange(N_FRAMES), [len(n) for n in lines])
    operator = acquisition(maps.numpy(), trajectory, frame, N_FRAMES, True, "auto", torch.device("cpu"))
    kspace = operator(images)
    starts = np.concatenate([[0], np.cumsum([len(n) * MATRIX[1] for n in lines])])
    return FrameData(
        kspace=kspace,
        density=torch.ones(kspace.shape[1]),
        times=torch.arange(N_FRAMES, dtype=torch.float64),
        operator=operator,
        frames=tuple(map(float, range(N_FRAMES))),
        starts=tuple(starts.tolist()),
    )


def prepared(**changes: Any) -> Prepared:
    scan = simulate_phantom(SimulationConfig(spokes=7, frames=4, coils=2, matrix=16))
    return replace(prepare_slice(scan, 0, PrepareConfig(), 0), **changes)


def test_at_several_subframes_the_samples_are_the_same_in_order_of_time() -> None:
    slice_ = prepared()
    seen = ~slice_.held_out
    assert slice_.frame_position is not None
    shuffled = np.random.default_rng(0).permutation(len(seen))  # within the frames
    shuffled = shuffled[np.argsort(slice_.frame[shuffled], kind="stable")]
    parts = ("kspace", "trajectory", "density", "frame_position", "held_out")
    mixed = {n: getattr(slice_, n)[:, shuffled] if n == "kspace" else getattr(slice_, n)[shuffled] for n in parts}
    cpu = torch.device("cpu")
    for subframes in (2, 3, 7, 50):
        whole, fine = (frame_data(slice_, seen, "finufft", cpu, m) for m in (1, subframes))
        again = frame_data(replace(slice_, **mixed), ~mixed["held_out"], "finufft", cpu, subframes)
        assert again.frames == pytest.approx(fine.frames)
        if subframes >= 7:  # each alone
            torch.testing.assert_close(again.kspace, fine.kspace)
        torch.testing.assert_close(fine.kspace, whole.kspace)  # the phantom's readouts are in order of time
        assert len(fine.frames) == min(subframes, 7) * 4 - (subframes >= 7) * int(slice_.held_out.sum())
        assert list(fine.frames) == sorted(fine.frames)
        assert fine.starts[-1] == fine.kspace.shape[1]
        image = random_complex(16, 16)
        measured = [data.operator(image.expand(len(data.frames), 16, 16)) for data in (whole, fine)]
        torch.testing.assert_close(measured[0], measured[1], rtol=1e-3, atol=1e-3)
    assert fine.frames == pytest.approx(slice_.frame_position[seen])


def test_subframes_stay_nearest_to_their_own_frame_however_unevenly_it_was_measured() -> None:
    slice_ = prepared()
    ends = np.where(np.arange(len(slice_.frame)) % 2, 0.8, -0.8)  # of every frame, next to its neighbours
    data = frame_data(
        replace(slice_, frame_position=slice_.frame + ends), ~slice_.held_out, "finufft", torch.device("cpu"), 2
    )
    assert len(data.frames) == 8
    assert [round(frame) for frame in data.frames] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_subframes_of_readouts_without_times_are_refused() -> None:
    slice_ = prepared(frame_position=None)
    with pytest.raises(BadRequest, match="subframes=3"):
        frame_data(slice_, ~slice_.held_out, "finufft", torch.device("cpu"), 3)


def test_fully_sampled_frames_are_gridded_as_they_are() -> None:
    images = random_complex(N_FRAMES, *MATRIX)
    torch.testing.assert_close(grid_frames(measure(images)), images, rtol=1e-4, atol=1e-5)


def test_the_average_of_fully_sampled_frames_is_their_mean() -> None:
    images = random_complex(N_FRAMES, *MATRIX) + 1
    torch.testing.assert_close(grid_average(measure(images)), images.mean(0), rtol=1e-4, atol=1e-5)


def test_the_average_of_frames_that_share_the_lines_is_a_still_image() -> None:
    still = random_complex(1, *MATRIX).expand(N_FRAMES, -1, -1)
    torch.testing.assert_close(grid_average(measure(still, every=4)), still[0], rtol=1e-4, atol=1e-5)
    assert float((grid_frames(measure(still, every=4))[0] - still[0]).norm()) > 0.1 * float(still[0].norm())


def blob(centres: np.ndarray) -> Tensor:
    """A bright disc that moves, 32 x 32, in complex numbers."""
    y, x = np.mgrid[:32, :32]
    frames = [np.exp(-((x - c) ** 2 + (y - 16) ** 2) / 18) for c in centres]
    return torch.from_numpy(np.stack(frames).astype(np.complex64)) * 1j


def test_a_periodic_series_closes_its_cycle() -> None:
    turn = 2 * np.pi * np.arange(12) / 12
    assert closes_cycle(blob(16 + 6 * np.cos(turn)))
    assert closes_cycle(blob(16 + 6 * np.cos(turn + 1)) + 0.05 * random_complex(12, 32, 32))


@pytest.mark.parametrize("n_frames", [4, 12])
def test_a_series_that_goes_one_way_does_not(n_frames: int) -> None:
    assert not closes_cycle(blob(np.linspace(8, 24, n_frames)))
    assert not closes_cycle(blob(16 + 6 * np.cos(np.pi * np.arange(n_frames) / (n_frames - 1))))


def test_a_few_frames_are_no_cycle() -> None:
    assert not closes_cycle(blob(np.array([10.0, 20.0, 10.0])))


def test_half_of_the_memory_decides_how_many_frames_are_rendered_at_once(
    radial_scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert frames_that_fit(radial_scan, torch.device("cpu")) == radial_scan.n_frames
    frame = 8 * 32 * 32
    needed = {"SC_PAGE_SIZE": 1, "SC_PHYS_PAGES": 2 * frame * (KEPT_COPIES * 6 + RENDERED_COPIES * 4)}
    monkeypatch.setattr("os.sysconf", needed.__getitem__)
    assert frames_that_fit(radial_scan, torch.device("cpu")) == 4
    monkeypatch.setattr("os.sysconf", lambda name: 1)
    assert frames_that_fit(radial_scan, torch.device("cpu")) == 2
