"""Labels carried along a known motion keep their places, and tell its areas and volumes."""

import numpy as np
import pytest

from dainr.motion import Motion
from dainr.motion.labels import as_labels, carried, volumes

N = 48


def shrinking(shares: tuple[float, ...], affine: np.ndarray | None = None, n_slices: int = 1) -> Motion:
    """Eulerian motion of a plane that has shrunk about its middle to these shares of its length."""
    away = np.arange(N) - N // 2
    back = [np.stack(np.broadcast_arrays((1 / s - 1) * away[None, :], (1 / s - 1) * away[:, None])) for s in shares]
    displacement = np.repeat(np.array(back, np.float32)[None], n_slices, 0)
    found = np.ones((n_slices, len(shares), N, N), bool)
    return Motion(displacement, found, "eulerian", 0.0, np.arange(len(shares)), (96.0, 48.0), 8.0, affine)


def discs(*radii: float) -> np.ndarray:
    """A label for each radius, about the middle."""
    away = np.hypot(*np.meshgrid(np.arange(N) - N // 2, np.arange(N) - N // 2, indexing="ij"))
    return np.stack([(away <= radius)[None].astype(float) for radius in radii])


def test_areas_go_with_the_square_of_the_length() -> None:
    motion = shrinking((1.0, 0.7, 0.9))
    found = volumes(carried(discs(15), motion), motion)[0]
    np.testing.assert_allclose(found.areas[0] / found.areas[0, 0], [1, 0.49, 0.81], rtol=0.02)
    assert found.areas[0, 0] == pytest.approx(np.pi * 15**2 * 2, rel=0.02)  # pixels of 2 x 1 mm
    summary = found.summary
    assert (summary["end_diastolic_frame"], summary["end_systolic_frame"]) == (0, 1)
    assert summary["ejection_fraction_percent"] == pytest.approx(51, abs=1)
    assert summary["end_diastolic_ml"] == pytest.approx(found.areas[0, 0] * 8 / 1000)


def test_slices_of_a_stack_are_as_thick_as_they_are_apart() -> None:
    motion = shrinking((1.0, 0.8), np.diag([1.0, 2.0, 10.0, 1.0]), n_slices=3)
    shares = np.repeat(discs(12), 3, 1)
    found = volumes(carried(shares, motion), motion)[0]
    assert found.thickness_mm == 10
    np.testing.assert_allclose(found.curve, found.areas.sum(0) / 100)


def test_labels_keep_their_numbers() -> None:
    motion = shrinking((1.0, 0.6))
    shares = discs(16, 8)
    shares[0] -= shares[1]
    labels = as_labels(carried(shares, motion), np.array([7, 3]))
    middle = N // 2
    assert labels.dtype == np.int16 and set(np.unique(labels)) == {0, 3, 7}
    assert labels[0, 0, middle, middle] == 3 and labels[0, 0, middle, middle + 12] == 7
    assert labels[0, 1, middle, middle + 7] == 7 and labels[0, 1, middle, middle + 12] == 0
