"""What is contrast that changes in place and what moves, and that its courses give the series back."""

import pytest
import torch
from torch import Tensor

from dainr.methods.dainr.contrast import causes_of_change, contrast_courses
from tests.fields.test_warped import smooth_image
from tests.helper import random_complex

SIDE, N_FRAMES = 48, 12


def decaying() -> Tensor:
    """Two halves that decay, each at its own rate."""
    image, time = smooth_image(SIDE), torch.arange(N_FRAMES)[:, None, None]
    left = (torch.arange(SIDE) < SIDE // 2).float()
    return image * (left * torch.exp(-time / 3) + (1 - left) * torch.exp(-time / 8))


def moving() -> Tensor:
    """An image that swings to and fro."""
    image = smooth_image(SIDE)
    return torch.stack([image.roll(round(3 * torch.sin(torch.tensor(t)).item()), 1) for t in range(N_FRAMES)])


def test_courses_times_maps_are_the_series() -> None:
    series = decaying()
    found = contrast_courses(series, 3)
    assert found is not None
    maps, courses = found
    assert (maps.shape, courses.shape) == ((3, SIDE, SIDE), (N_FRAMES, 3))
    again = torch.einsum("tk,kyx->tyx", courses, maps)
    assert float((again - series).norm() / series.norm()) < 0.01
    assert abs(float(courses[:, 0].mean().imag)) < 1e-4 < float(courses[:, 0].mean().real)


def test_what_decays_changes_in_place_and_what_moves_does_not() -> None:
    in_place, moved = causes_of_change(decaying())
    assert in_place > 0.9 > moved
    in_place, moved = causes_of_change(moving())
    assert moved > max(0.7, in_place)
    assert contrast_courses(moving(), 3) is None


@pytest.mark.parametrize(
    "series",
    [
        decaying()[:3],
        decaying()[:, :6],
        smooth_image(SIDE).expand(N_FRAMES, -1, -1),
        torch.zeros(N_FRAMES, SIDE, SIDE, dtype=torch.complex64),
        smooth_image(SIDE) + 0.3 * random_complex(N_FRAMES, SIDE, SIDE),
    ],
    ids=["few frames", "few pixels", "still", "nothing", "noise"],
)
def test_there_are_no_courses_where_nothing_tells_them(series: Tensor) -> None:
    assert contrast_courses(series, 3) is None
