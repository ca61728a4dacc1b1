"""Cardiac phases from the time since the trigger."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.io.scans.formats import read
from dainr.io.scans.physiology import phase_since_trigger
from tests.io import header, lines, random_complex, write_file

TICK = 2.5e-3


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.floats(0.5, 1.5), min_size=2, max_size=8), seed=st.integers(0, 99))
def test_phases_are_the_share_of_the_beat_that_has_passed(lengths: list[float], seed: int) -> None:
    ends = np.cumsum(lengths)
    times = np.arange(0.01, ends[-1], 0.02)
    number = np.searchsorted(ends, times, side="right")
    since = times - (ends - lengths)[number]
    expected = since / np.array(lengths)[number]
    order = np.random.default_rng(seed).permutation(len(times))
    phase = phase_since_trigger(times[order], np.round(since[order] / TICK) * TICK)
    assert phase is not None and phase.dtype == np.float32
    whole = number[order] < len(lengths) - 1  # the end of the last beat is not seen
    np.testing.assert_allclose(phase[whole], expected[order][whole], atol=0.02)
    assert (phase >= 0).all() and (phase < 1).all()


def test_without_a_second_trigger_there_are_no_phases() -> None:
    times = np.arange(10.0)
    assert phase_since_trigger(times, times) is None


def test_stamps_of_the_ecg_become_cardiac_phases(tmp_path) -> None:
    acquisitions = lines(np.fft.fft2(random_complex(2, 12, 16)))
    for number, acquisition in enumerate(acquisitions):
        acquisition.acquisition_time_stamp = 1000 + 40 * number
        acquisition.physiology_time_stamp[0] = 40 * (number % 4)
    scan = read(write_file(tmp_path / "ecg.h5", header((12, 16)), acquisitions))
    np.testing.assert_allclose(scan.phase[0], np.arange(12) % 4 / 4, atol=1e-6)
    assert any("ECG" in note for note in scan.notes)


@pytest.mark.parametrize("gated", [(0, 1), (0,)])
def test_each_slice_has_its_own_phases_or_none_has(gated: tuple[int, ...], tmp_path: Path) -> None:
    acquisitions = []
    for index, beat in enumerate((4, 3)):
        for number, acquisition in enumerate(lines(np.fft.fft2(random_complex(2, 12, 16)), slice=index)):
            acquisition.acquisition_time_stamp = 1000 + 40 * number
            acquisition.physiology_time_stamp[0] = 40 * (number % beat) if index in gated else 0
            acquisitions.append(acquisition)
    scan = read(write_file(tmp_path / "ecg.h5", header((12, 16)), acquisitions))
    if len(gated) == 1:
        assert scan.phase is None and any("only 1 of 2 slices" in note for note in scan.notes)
    else:
        expected = [np.arange(12) % beat / beat for beat in (4, 3)]
        np.testing.assert_allclose(scan.phase, expected, atol=1e-6)
