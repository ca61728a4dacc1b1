"""How much of what changes the motion explains."""

from dataclasses import replace

import numpy as np
import pytest

from dainr.motion import Motion, seen
from dainr.motion.explained import about, explained

N = 32


@pytest.fixture
def motion() -> Motion:
    displacement = np.zeros((1, 3, 2, N, N), np.float32)
    displacement[0, 1, 0], displacement[0, 2, 1] = 1.5, -2.0
    return Motion(displacement, np.ones((1, 3, N, N), bool), "eulerian", 0.0, np.arange(3.0), (32.0, 32.0), 8.0)


def blob() -> np.ndarray:
    y, x = np.meshgrid(np.arange(N) - 16, np.arange(N) - 16, indexing="ij")
    return np.exp(-(x**2 + y**2) / 30)


def test_images_that_move_as_it_says_are_explained(motion: Motion) -> None:
    images = np.stack([seen(blob(), step, order=3) for step in motion.displacement[0]])[None]
    everywhere = np.ones((1, N, N), bool)
    assert explained(images, motion, 0, everywhere) == pytest.approx(1)
    halved = replace(motion, displacement=0.5 * motion.displacement)
    assert 0.6 < explained(images, halved, 0, everywhere) < 0.9


def test_contrast_is_not_and_nothing_is_nothing(motion: Motion) -> None:
    still = replace(motion, displacement=0 * motion.displacement)
    fading = blob() * np.array([1, 0.8, 0.6])[:, None, None]
    everywhere = np.ones((1, N, N), bool)
    assert explained(fading[None], still, 0, everywhere) == pytest.approx(0, abs=1e-9)
    assert explained(np.repeat(blob()[None, None], 3, 1), still, 0, everywhere) == 0


def test_about_a_label_is_where_it_has_been_and_a_little_more() -> None:
    shares = np.zeros((1, 2, 9, 9))
    shares[0, 0, 4, 4], shares[0, 1, 4, 5] = 1, 0.2
    found = about(shares)[0]
    assert found[4, 2:8].all() and not found[4, 8] and not found[1].any()
