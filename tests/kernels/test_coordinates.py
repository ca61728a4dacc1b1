"""Where pixels and frames are: centres of pixels, fractional frame numbers, evenly spaced times."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.kernels.coordinates import even_times, frame_number, pixel_coordinates

TIMES = [0.0, 0.1, 0.3, 0.35]  # not evenly spaced
SERIES = st.lists(st.floats(0.01, 10), min_size=0, max_size=8).map(
    lambda steps: [sum(steps[:i], 0.0) for i in range(len(steps) + 1)]
)


@pytest.mark.parametrize(
    ("time", "number"), [(-1.0, 0.0), (0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.2, 1.5), (0.325, 2.5), (1.0, 3.0)]
)
def test_frame_numbers_run_evenly_between_frames(time: float, number: float) -> None:
    assert frame_number(TIMES, time) == pytest.approx(number)


@pytest.mark.parametrize("time", [-1.0, -1e-12, 0.0, 1.0])
def test_a_series_of_one_frame_shows_it_at_any_time(time: float) -> None:
    assert frame_number([0.0], time) == 0.0


def test_frames_measured_at_the_same_time_have_a_number() -> None:
    assert frame_number([0.0, 0.0, 1.0], 0.0) in (0.0, 1.0)
    assert [frame_number([0.0, 0.0, 1.0], t) for t in (0.5, 1.0)] == [1.5, 2.0]


@settings(deadline=None)
@given(SERIES, st.integers(0, 8))
def test_the_time_of_a_frame_has_its_number(times: list[float], frame: int) -> None:
    frame %= len(times)
    assert frame_number(times, times[frame]) == frame


def test_pixel_coordinates_are_centres_of_a_field_of_view_from_minus_one_to_one() -> None:
    points = pixel_coordinates((2, 4), torch.device("cpu"))
    assert points.tolist() == [[x, y] for y in (-0.5, 0.5) for x in (-0.75, -0.25, 0.25, 0.75)]


@settings(deadline=None)
@given(SERIES, st.integers(1, 40))
def test_even_times_rise_from_the_first_frame_to_the_last(known: list[float], n: int) -> None:
    times = even_times(known, n)
    assert len(times) == n
    assert times[0] == known[0]
    assert times == sorted(times)
    if n > 1:
        assert math.isclose(times[-1], known[-1])


def test_even_times_are_the_frames_themselves_and_those_half_way() -> None:
    assert even_times(TIMES, 4) == pytest.approx(TIMES)
    assert even_times(TIMES, 7) == pytest.approx([0.0, 0.05, 0.1, 0.2, 0.3, 0.325, 0.35])
