"""Inverse, composition and folding of displacements."""

import numpy as np
import pytest

from dainr.motion import composed, determinant, inverted, seen
from dainr.motion.sampling import places


def bump(height: float, n: tuple[int, int] = (40, 52), width: float = 6.0) -> np.ndarray:
    """Everything moved outwards from the middle."""
    y, x = np.meshgrid(*(np.arange(m) - m // 2 for m in n), indexing="ij")
    pull = height * np.exp(-(x**2 + y**2) / (2 * width**2)) / width
    return np.stack([x * pull, y * pull])


def test_there_and_back_is_nothing_to_a_twentieth_of_a_pixel() -> None:
    displacement = bump(4.0) + np.array([1.3, -0.4])[:, None, None]
    back, found = inverted(displacement)
    assert found.all()
    inner = (slice(None), slice(6, -6), slice(6, -6))
    assert np.hypot(*composed(displacement, back)[inner]).max() < 0.05
    assert np.hypot(*composed(back, displacement)[inner]).max() < 0.05


def test_strong_but_unfolded_motion_is_inverted() -> None:
    displacement = bump(-5.5)  # drawn together to a fifth of its width
    assert determinant(displacement).min() > 0
    assert inverted(displacement)[1].all()


def test_a_fold_is_counted_and_not_inverted() -> None:
    displacement = bump(-14.0)
    assert (determinant(displacement) <= 0).sum() > 10
    assert not inverted(displacement)[1].all()


def test_the_determinant_is_the_area() -> None:
    y, x = np.meshgrid(np.arange(9.0), np.arange(11.0), indexing="ij")
    np.testing.assert_allclose(determinant(np.stack([0.2 * x, -0.5 * y])), 1.2 * 0.5)
    np.testing.assert_allclose(determinant(np.stack([0.3 * y, 0 * y])), 1.0)


def test_composition_is_one_after_the_other() -> None:
    shift = np.zeros((2, 12, 14))
    shift[0], shift[1] = 2.0, 1.0
    moved = composed(shift, 3 * shift)
    np.testing.assert_allclose(moved, 4 * shift, atol=1e-9)
    assert places(moved)[:, 3, 4] == pytest.approx([3 + 4, 4 + 8])


def test_an_image_is_seen_where_the_displacement_leads() -> None:
    image = np.zeros((8, 9))
    image[5, 6] = 1
    shift = np.zeros((2, 8, 9))
    shift[0] = 2
    assert np.argwhere(seen(image, shift)).tolist() == [[5, 4]]
    assert seen(np.ones((8, 9)), shift)[0].tolist() == [1] * 7 + [0] * 2
