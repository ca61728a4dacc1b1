"""Heartbeats: their lengths are found, unusual ones are set aside, nonsense is not taken for an arrhythmia."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frames import bin_phases, frame_times
from dainr.prepare.gating import find_beats
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.helper import repeated


def beating(lengths: list[float], a_second: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Times and phases of readouts, evenly spaced over beats of these lengths."""
    ends = np.cumsum(lengths)
    times = np.arange(0, ends[-1], 1 / a_second)
    number = np.searchsorted(ends, times, side="right")
    return times, ((times - (ends - lengths)[number]) / np.array(lengths)[number]).astype(np.float32)


def test_beats_are_as_long_as_they_were() -> None:
    lengths = [0.9, 1.0, 0.95, 1.5, 1.05]
    times, phase = beating(lengths)
    order = np.random.default_rng(0).permutation(len(times))
    beats = find_beats(times[order], phase[order])
    np.testing.assert_allclose(beats.lengths, lengths, rtol=1e-4)
    assert beats.length == pytest.approx(1.0, rel=1e-4)
    assert beats.arrhythmic.tolist() == [False, False, False, True, False]
    np.testing.assert_array_equal(times[order][beats.of_readout == 3] >= 2.85 - 1e-9, True)


def test_times_and_phases_that_do_not_belong_together_tell_nothing() -> None:
    random = np.random.default_rng(0)
    beats = find_beats(np.arange(60.0), random.random(60).astype(np.float32))
    assert np.isnan(beats.length)
    assert not beats.arrhythmic.any()


def test_one_time_for_all_tells_nothing() -> None:
    beats = find_beats(np.zeros(6), np.linspace(0, 0.9, 6, dtype=np.float32))
    assert np.isnan(beats.length) and not beats.arrhythmic.any()


def test_arrhythmic_beats_are_left_out_of_the_frames_and_counted() -> None:
    scan = simulate_phantom(SimulationConfig(matrix=32, frames=10, spokes=10, coils=2))
    lengths = [1.0] * 5 + [1.6] + [1.0] * 4
    times, phase = beating(lengths, 10)
    times, phase = times[:100], phase[:100]
    scan = replace(scan, times=times[None], phase=phase[None], frame=None)
    binned = bin_phases(scan, 8)
    kept = (times < 5 - 1e-9) | (times > 6.6 - 1e-9)
    assert binned.n_readouts == kept.sum()
    assert "1 of 10 heartbeats set aside" in binned.notes[-1] and "of 1000 ms" in binned.notes[-1]
    assert binned.frame is not None
    at, measured = frame_times(binned.times[0], binned.frame[0])
    assert measured and 0.09 < np.diff(at).min() < np.diff(at).max() < 0.16


def test_each_slice_of_a_stack_has_its_own_heartbeats() -> None:
    one = simulate_phantom(SimulationConfig(matrix=32, frames=10, spokes=10, coils=2))
    lengths = [[1.0] * 5 + [1.6] + [1.0] * 4, [0.8] * 13]
    beats = [tuple(part[:100] for part in beating(each, 10)) for each in lengths]
    times, phase = (np.stack(part) for part in zip(*beats, strict=True))
    phase = phase.clip(0, np.nextafter(np.float32(1), np.float32(0)))
    stack = replace(repeated(one, 2), times=times, phase=phase, frame=None)
    binned = bin_phases(stack, 8)
    kept = ~((times[0] > 5 - 1e-9) & (times[0] < 6.6 - 1e-9))
    assert binned.readouts_per_frame.sum(1).tolist() == [kept.sum(), 100] and binned.n_readouts == 100
    assert "of 800 to 1000 ms, 1 of 23 heartbeats set aside" in binned.notes[-1]
    assert binned.frame is not None
    for index, shown in enumerate((kept, np.full(100, True))):
        used = binned.frame[index] >= 0
        order = np.argsort((phase[index][shown] * 8).astype(int), kind="stable")
        np.testing.assert_array_equal(binned.kspace[index][:, used], stack.kspace[index][:, shown][:, order])
        prepared = prepare_slice(binned, index, PrepareConfig(), 0)
        assert prepared.kspace.shape[1] == shown.sum()
        assert np.bincount(prepared.frame).tolist() == binned.readouts_per_frame[index].tolist()
    assert binned.times[0].max() == pytest.approx(1.0, abs=0.1) and binned.times[1].max() < 0.8
