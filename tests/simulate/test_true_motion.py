"""The true displacement of a phantom is that of what is seen to move."""

import numpy as np
import pytest

from dainr.simulate import PHANTOMS, SimulationConfig, true_displacement
from dainr.simulate.phantom import Ellipse, ellipse_image, still_ellipse
from dainr.simulate.phantoms import frame_centres
from dainr.simulate.texture import INNER, OUTER, SHORTER, TWIST, textured_motion, textured_thorax
from dainr.simulate.true_motion import Solid, Wall, displacement

KNOWN = [name for name, phantom in PHANTOMS.items() if phantom.motion is not None]


def test_the_chest_stands_still_blood_and_air_are_unknown_and_the_first_frame_has_not_moved() -> None:
    found = true_displacement(SimulationConfig(matrix=64, frames=6))
    assert found is not None and found.shape == (1, 6, 2, 64, 64)
    known = np.isfinite(found[0]).all((0, 1))
    assert not known[0, 0] and known[8, 32] and not known[33, 36]  # air, chest wall, blood
    assert np.abs(found[0, :, :, 8, 32]).max() == 0
    assert np.nanmax(np.abs(found[0, 0])) < 1e-4
    assert 1 < np.nanmax(np.abs(found)) < 3


@pytest.mark.parametrize("name", ["beating", "textured", "breath"])
def test_an_image_carried_by_it_is_the_image_of_that_frame(name: str) -> None:
    """What bright and dark parts of walls do is what is said of them: brightness goes along."""
    n, frames = 128, 9
    phantom = PHANTOMS[name]
    config = SimulationConfig(phantom=name, matrix=n, frames=frames)
    found = true_displacement(config)
    assert found is not None
    times = frame_centres(frames)
    images = [ellipse_image(phantom.ellipses(), (n, n), t) for t in times]
    inside = np.isfinite(found[0]).all((0, 1))
    y, x = np.nonzero(inside & (np.abs(found[0]).max((0, 1)) > 0.5))
    at_rest = images[0][y, x]
    for index in (2, 3, 4):
        to = np.rint([y + found[0, index, 1, y, x], x + found[0, index, 0, y, x]]).astype(int)
        assert np.median(np.abs(images[index][tuple(to)] - at_rest)) < 0.03


def test_a_crop_is_the_middle_of_the_whole() -> None:
    whole = true_displacement(SimulationConfig(matrix=48, frames=4))
    cropped = true_displacement(SimulationConfig(matrix=32, frames=4, crop=True))
    assert whole is not None and cropped is not None
    np.testing.assert_allclose(cropped, whole[..., 8:40, 8:40], atol=1e-5)


def test_phantoms_without_known_motion_and_stacks_have_none() -> None:
    for name in set(PHANTOMS) - set(KNOWN):
        assert true_displacement(SimulationConfig(phantom=name)) is None
    assert true_displacement(SimulationConfig(pattern="stack-of-stars")) is None


def test_a_wall_keeps_its_edges_on_its_ellipses_and_twists() -> None:
    wall = textured_motion(textured_thorax())[2]
    assert isinstance(wall, Wall)
    centre = np.array([wall.outer.centre(np.zeros(1))[i][0] for i in (0, 1)])
    points = centre + np.array([[0.0, OUTER], [0.0, INNER], [0.0, 0.01]])
    moved = wall.carried(points, 0.0, 1 / 3) - [wall.outer.centre(np.array([1 / 3]))[i][0] for i in (0, 1)]
    assert np.hypot(*moved[0]) == pytest.approx(OUTER * (1 - SHORTER), rel=1e-3)
    assert np.arctan2(*moved[0]) == pytest.approx(TWIST, rel=1e-3)
    assert np.isnan(moved[2]).all()
    np.testing.assert_allclose(wall.carried(wall.carried(points[:2], 0.0, 0.4), 0.4, 0.0), points[:2], atol=1e-12)


def test_a_turned_ellipse_is_scaled_along_its_own_axes() -> None:
    grows = Ellipse(1.0, lambda t: (0 * t, 0 * t), lambda t: (0.1 + 0.1 * t, 0.2 + 0 * t), np.pi / 2)
    moved = Solid(grows).carried(np.array([[0.05, 0.04]]), 0.0, 1.0)
    np.testing.assert_allclose(moved, [[0.05, 0.08]], atol=1e-12)  # its first axis lies along x


def test_what_lies_on_top_counts() -> None:
    under = Solid(still_ellipse(1.0, (0, 0), (0.4, 0.4)))
    over = Solid(Ellipse(1.0, lambda t: (0.1 * t, 0 * t), lambda t: (0.1 + 0 * t, 0.1 + 0 * t)))
    found = displacement([under, over], [0.0, 1.0], (20, 40))
    assert found[1, 1, 10, 20] == pytest.approx(2.0) and found[1, 1, 3, 20] == 0
