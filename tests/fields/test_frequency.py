"""The frequency encoding: its values and their number."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dainr.fields.frequency import frequency_encode, n_frequency_features


def test_values_are_the_point_then_sine_and_cosine_of_each_octave() -> None:
    encoded = frequency_encode(torch.tensor([[0.3, -0.7]]), 2)[0].tolist()
    by_hand = [0.3, -0.7]
    for factor in (1, 2):
        by_hand += [math.sin(factor * 0.3), math.sin(factor * -0.7), math.cos(factor * 0.3), math.cos(factor * -0.7)]
    assert encoded == pytest.approx(by_hand, abs=1e-6)


def test_degree_zero_is_the_point_itself() -> None:
    points = torch.rand(4, 3)
    assert torch.equal(frequency_encode(points, 0), points)


@given(n_dimensions=st.integers(1, 3), degree=st.integers(0, 12), n_points=st.integers(1, 5))
def test_the_number_of_values_is_as_announced(n_dimensions: int, degree: int, n_points: int) -> None:
    encoded = frequency_encode(torch.rand(n_points, n_dimensions), degree)
    assert encoded.shape == (n_points, n_frequency_features(n_dimensions, degree))


def test_the_published_degrees_give_42_and_13_values() -> None:
    assert (n_frequency_features(2, 10), n_frequency_features(1, 6)) == (42, 13)
