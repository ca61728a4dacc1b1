"""Readouts in frames: each keeps its own data, and what validates is spread evenly and never a whole frame."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.errors import BadRequest, BadScan
from dainr.prepare.frames import (
    bin_given,
    bin_phases,
    bin_spokes,
    frame_numbers,
    frame_times,
    frames_as_stored,
    hold_out,
    read_frame_list,
)
from dainr.scan import SET_ASIDE
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.simulate.sampling import cartesian, radial
from tests.io import small_scan


def shuffled_scan(**changes):
    """Two slices of ten readouts measured in different orders; the first sample of a readout is its time."""
    random = np.random.default_rng(0)
    times = np.stack([random.permutation(10), random.permutation(10)]) * 0.1
    kspace = np.ones((2, 3, 10, 4), np.complex64)
    kspace[..., 0] = 1 + times[:, None]
    trajectory = np.zeros((2, 10, 4, 2), np.float32)
    trajectory[..., 0, 0] = times / 10
    phase = (times % 0.5) * 2
    parts = {"frame": None, "phase": phase.astype(np.float32), "reference": None}
    return small_scan(kspace=kspace, trajectory=trajectory, times=times, **(parts | changes))


def assert_readouts_whole(scan):
    """Every readout still has its own samples, positions, time and phase."""
    np.testing.assert_allclose(scan.kspace[:, 0, :, 0].real, 1 + scan.times, rtol=1e-6)
    assert_positions_and_phases(scan)


def assert_positions_and_phases(scan):
    """Every readout still has its own positions and phase; its first sample tells when it was measured."""
    times = scan.kspace[:, 2, :, 0].real - 1
    np.testing.assert_array_equal(scan.kspace[:, 0, :, 0].real - 1, times)
    np.testing.assert_allclose(scan.trajectory[:, :, 0, 0], times / 10, atol=1e-6)
    np.testing.assert_allclose(np.exp(2j * np.pi * scan.phase), np.exp(4j * np.pi * times), atol=1e-5)
    assert (np.diff(scan.frame, axis=1) >= 0).all()


def test_numbers_of_readouts_are_those_of_their_frames_in_the_mean_and_follow_the_time():
    scan = simulate_phantom(SimulationConfig(spokes=7, coils=1, frames=5, matrix=16))
    number = frame_numbers(scan.times[0], scan.frame[0])
    np.testing.assert_allclose(np.bincount(scan.frame[0], number) / 7, np.arange(5), atol=1e-9)
    np.testing.assert_allclose(np.diff(number), 1 / 7)
    assert number.min() < 0 and number.max() > 4


@pytest.mark.parametrize(
    ("times", "frame"),
    [([0.0, 1.0, 2.0, 3.0], [0, 1, 0, 1]), ([0.0, 1.0, 2.0, 3.0], [0, 0, 0, 0]), ([0.0, 0.0, 1.0, 1.0], [0, 0, 1, 1])],
    ids=["interleaved", "one frame", "frames at once"],
)
def test_readouts_that_do_not_follow_each_other_have_no_numbers(times, frame):
    assert frame_numbers(np.array(times), np.array(frame)) is None


def test_consecutive_readouts_in_time_share_a_frame_and_the_rest_is_dropped():
    scan = bin_spokes(shuffled_scan(), 3)
    assert scan.frame.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2]] * 2
    np.testing.assert_allclose(scan.times, np.tile(np.arange(9) * 0.1, (2, 1)))
    assert_readouts_whole(scan)
    assert "1 left over" in scan.notes[-1]


@pytest.mark.parametrize("spokes", [0, -1, 11])
def test_impossible_numbers_of_spokes_are_refused(spokes):
    with pytest.raises(BadRequest, match=r"the scan has 10 readouts; choose 1 to 10"):
        bin_spokes(shuffled_scan(), spokes)


def test_cardiac_phases_fall_into_even_bins():
    scan = bin_phases(shuffled_scan(), 2)
    assert_positions_and_phases(scan)
    np.testing.assert_allclose(scan.times, np.broadcast_to(0.5 * scan.phase, scan.times.shape), atol=1e-5)
    np.testing.assert_array_equal(scan.frame, (scan.phase >= 0.5).astype(int))


def test_a_phase_just_below_one_belongs_to_the_last_bin():
    phase = np.linspace(0, 1, 10, endpoint=False, dtype=np.float32)
    phase[3] = np.nextafter(np.float32(1), np.float32(0))
    scan = bin_phases(shuffled_scan(phase=phase), 7)
    assert scan.n_frames == 7


def test_bins_that_stay_empty_missing_phases_and_no_frames_are_refused():
    with pytest.raises(BadScan, match="has no readout"):
        bin_phases(shuffled_scan(phase=np.array([0.95] + [0.1] * 9, np.float32)), 4)
    with pytest.raises(BadRequest, match="no cardiac phases"):
        bin_phases(shuffled_scan(phase=None), 2)
    with pytest.raises(BadRequest, match="--frames-per-cycle 0"):
        bin_phases(shuffled_scan(), 0)


def test_a_list_of_frames_is_followed():
    given_frames = np.array([2, 0, 1, 1, 0, 2, 2, 0, 1, 0], np.int32)
    scan = shuffled_scan()
    binned = bin_given(scan, given_frames)
    assert_readouts_whole(binned)
    for frame in range(3):
        np.testing.assert_array_equal(binned.times[binned.frame == frame], scan.times[:, given_frames == frame].ravel())
    with pytest.raises(BadRequest, match="it lists 9 readouts, the scan has 10"):
        bin_given(scan, given_frames[:9])


def test_stored_frames_are_put_in_order():
    stored = np.array([2, 0, 1, 1, 0, 2, 2, 0, 1, 0], np.int32)
    binned = frames_as_stored(shuffled_scan(frame=stored))
    assert binned.readouts_per_frame.tolist() == [[4, 3, 3]] * 2
    assert_readouts_whole(binned)
    with pytest.raises(BadScan, match="--spokes-per-frame"):
        frames_as_stored(shuffled_scan())


def test_a_frame_list_is_read_from_text_and_anything_else_is_refused(tmp_path):
    path = tmp_path / "frames.txt"
    path.write_text("0 0 1\n1\n")
    assert read_frame_list(path).tolist() == [0, 0, 1, 1]
    for content in (b"0 1 x", b"0 1.5", b"99999999999999999999", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(BadRequest, match="not a list of whole numbers"):
            read_frame_list(path)
    with pytest.raises(BadRequest, match="--frames"):
        read_frame_list(tmp_path / "absent.txt")


def test_frame_times_are_means_from_the_first_frame_on():
    times, measured = frame_times(np.array([1.0, 2.0, 4.0, 8.0]), np.array([0, 0, 1, 2]))
    assert measured
    np.testing.assert_allclose(times, [0, 2.5, 6.5])


def test_frames_gathered_over_many_beats_are_spread_over_one_cycle():
    times, measured = frame_times(np.array([0.0, 3.0, 1.0, 2.0]), np.array([0, 0, 1, 1]))
    assert not measured
    np.testing.assert_allclose(times, [0, 0.5])
    assert frame_times(np.zeros(3), np.zeros(3, int)) == (np.zeros(1), True)


def test_frames_of_a_sliding_window_share_readouts_and_know_which():
    scan = bin_spokes(shuffled_scan(), 4, every=3)
    assert scan.frame.tolist() == [[0] * 4 + [1] * 4 + [2] * 4] * 2
    window = np.array([0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9])
    np.testing.assert_allclose(scan.times, np.tile(window * 0.1, (2, 1)))
    for measured in scan.copy_of:
        np.testing.assert_array_equal(measured[:, None] == measured, window[:, None] == window)
    assert "4 readouts per frame in order of time, a frame every 3, 0 left over" in scan.notes
    assert_readouts_whole(scan)
    again = frames_as_stored(scan)
    np.testing.assert_array_equal(again.copy_of, scan.copy_of)


def test_a_window_that_slides_by_itself_shares_nothing():
    scan, plain = bin_spokes(shuffled_scan(), 3, every=3), bin_spokes(shuffled_scan(), 3)
    assert scan.copy_of is None and scan.notes == plain.notes
    np.testing.assert_array_equal(scan.kspace, plain.kspace)


@pytest.mark.parametrize("every", [0, -1, 4])
def test_windows_that_leave_readouts_out_or_stand_still_are_refused(every):
    with pytest.raises(BadRequest, match=f"--every {every}"):
        bin_spokes(shuffled_scan(), 3, every)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 30), st.integers(1, 9), st.integers(1, 9), st.floats(0.01, 0.5), st.integers(0, 1000))
def test_of_readouts_that_frames_share_all_copies_are_held_out_or_none(n_frames, spokes, every, fraction, seed):
    every = min(every, spokes)
    measured = (np.arange(n_frames)[:, None] * every + np.arange(spokes)).ravel()
    frame = np.repeat(np.arange(n_frames), spokes)
    trajectory = radial(1, measured.max() + 1, (16, 16))[0][measured]
    held = hold_out(trajectory, frame, fraction, seed, measured)
    assert not set(measured[held]) & set(measured[~held])
    assert (np.bincount(frame[~held], minlength=n_frames) >= 1).all()
    distinct = len(np.unique(measured))
    assert len(np.unique(measured[held])) <= max(round(fraction * distinct), 1)
    if spokes > 2 * every + 1:
        assert held.any()


FRAMES = st.lists(st.integers(1, 12), min_size=1, max_size=15)


@settings(max_examples=150, deadline=None)
@given(FRAMES, st.floats(0, 0.5), st.integers(0, 1000))
def test_held_out_spokes_are_about_the_share_asked_and_empty_no_frame(counts, fraction, seed):
    frame = np.repeat(np.arange(len(counts)), counts)
    trajectory = radial(1, len(frame), (16, 16))[0]
    held = hold_out(trajectory, frame, fraction, seed)
    wanted = max(round(fraction * len(frame)), 1) if fraction > 0 else 0
    assert held.sum() <= wanted
    assert (np.bincount(frame[~held], minlength=len(counts)) >= 1).all()
    np.testing.assert_array_equal(held, hold_out(trajectory, frame, fraction, seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.integers(4, 15), st.floats(0.01, 0.5), st.integers(0, 1000))
def test_of_equal_frames_exactly_the_share_is_held_out_evenly(n_frames, spokes, fraction, seed):
    frame = np.repeat(np.arange(n_frames), spokes)
    held = hold_out(radial(1, len(frame), (16, 16))[0], frame, fraction, seed)
    assert held.sum() == max(round(fraction * len(frame)), 1)
    per_frame = np.bincount(frame[held], minlength=n_frames)
    assert np.ptp(per_frame) <= 1


def test_another_seed_holds_out_other_readouts():
    frame = np.repeat(np.arange(10), 10)
    trajectory = radial(1, 100, (16, 16))[0]
    assert len({hold_out(trajectory, frame, 0.1, seed).tobytes() for seed in range(8)}) == 8


@pytest.mark.parametrize("seed", range(4))
def test_cartesian_lines_through_the_centre_are_never_held_out(seed):
    trajectory, frame = cartesian(6, 2, (32, 32), "vista", np.random.default_rng(seed))
    held = hold_out(trajectory, frame, 0.3, seed)
    assert held.any()
    assert (np.abs(trajectory[held, 0, 0]) > 2 / 32).all()


def test_a_frame_of_one_readout_keeps_it(radial_scan):
    single = replace(radial_scan, frame=np.arange(54, dtype=np.int32)[None], reference=None)
    assert not hold_out(single.trajectory[0], single.frame[0], 0.5, 0).any()


def test_the_binning_tells_whether_the_frames_are_one_cycle() -> None:
    config = SimulationConfig(spokes=6, coils=2, frames=4, matrix=16)
    scan = simulate_phantom(config)
    assert frames_as_stored(scan).cyclic is None
    assert bin_spokes(scan, 6).cyclic is False
    phases = replace(scan, phase=np.linspace(0, 0.99, scan.n_readouts, dtype=np.float32)[None])
    assert bin_phases(phases, 4).cyclic is True


def test_points_near_the_centre_are_never_held_out() -> None:
    y, x = np.divmod(np.arange(24 * 32), 32)
    points = np.stack([(y - 12) / 24, (x - 16) / 32], -1)[:, None].astype(np.float32)
    held = hold_out(points, np.repeat([0, 1], 12 * 32), 0.2, 0)
    assert held.sum() == pytest.approx(0.2 * len(points), abs=2)
    assert np.hypot(*points[held, 0].T).min() > 2.5 / 32


def padded(scan, n):
    """The stack with its second slice shortened by `n` readouts and filled up with zeros, set aside."""
    last = slice(scan.n_readouts - n, None)
    parts = {name: getattr(scan, name).copy() for name in ("kspace", "trajectory", "times", "phase")}
    parts["kspace"][1, :, last] = 0
    for name in ("trajectory", "times", "phase"):
        parts[name][1, last] = 0
    frame = np.zeros(scan.times.shape, np.int32)
    frame[1, last] = SET_ASIDE
    return replace(scan, **parts, frame=frame)


@pytest.mark.parametrize(
    "bin_it",
    [
        lambda scan: bin_spokes(scan, 3),
        lambda scan: bin_phases(scan, 2),
        lambda scan: bin_given(scan, np.arange(10) % 2),
        frames_as_stored,
    ],
)
def test_readouts_set_aside_are_binned_no_more(bin_it):
    binned = bin_it(padded(shuffled_scan(), 3))
    assert binned.readouts_per_frame[1].sum() <= 7
    used = binned.used
    assert used[0].sum() >= used[1].sum()
    for index in range(2):
        assert np.abs(binned.kspace[index][:, used[index]]).min() > 0


def test_no_more_spokes_a_frame_than_every_slice_uses():
    with pytest.raises(BadRequest, match="the scan has 7 readouts"):
        bin_spokes(padded(shuffled_scan(), 3), 8)
