"""Where the simulated scanner samples."""

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.simulate.sampling import LINES, SPIRALS, cartesian, radial, spiral


def lines_of(trajectory, ny):
    """The line number of every Cartesian readout, which must run straight along x."""
    assert np.ptp(trajectory[..., 0], axis=1).max() == 0
    return np.rint(trajectory[:, 0, 0] * ny).astype(int) + ny // 2


def test_spokes_are_straight_centred_and_a_golden_angle_apart():
    trajectory, frame = radial(4, 3, (24, 32))
    assert trajectory.shape == (12, 64, 2)
    assert frame.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    np.testing.assert_allclose(trajectory[:, 32], 0)
    radius = np.hypot(*trajectory.transpose(2, 0, 1))
    np.testing.assert_allclose(radius, np.abs(np.arange(64) - 32)[None] / 64 * np.ones((12, 1)), atol=1e-12)
    angle = np.unwrap(np.arctan2(trajectory[:, -1, 0], trajectory[:, -1, 1]))
    np.testing.assert_allclose(np.diff(angle) % (2 * np.pi), np.deg2rad(111.2461), atol=1e-5)
    assert trajectory.min() >= -0.5 and trajectory.max() <= 0.5


def test_spirals_lead_evenly_outwards_and_a_full_set_leaves_no_gap():
    trajectory, frame = spiral(2, 3, (24, 96))
    assert frame.tolist() == [0, 0, 0, 1, 1, 1]
    radius = np.hypot(*trajectory.transpose(2, 0, 1))
    assert radius.max() == pytest.approx(0.5) and (np.diff(radius, axis=1) > 0).all()
    steps = np.hypot(*np.diff(trajectory, axis=1).transpose(2, 0, 1)) * 96
    assert np.ptp(steps) < 0.05 and steps.max() <= 0.51
    angle = np.unwrap(np.arctan2(trajectory[0, 1:, 0], trajectory[0, 1:, 1]))
    a_turn = np.interp([angle[-1] - 2 * np.pi], angle, radius[0, 1:])
    assert (0.5 - a_turn) * 96 / SPIRALS == pytest.approx(1, rel=0.02)  # sample of the field of view


@pytest.mark.parametrize("pattern", ["uniform", "vista"])
@pytest.mark.parametrize(("acceleration", "matrix"), [(1, (16, 20)), (2.5, (31, 24)), (3, (32, 32))])
def test_cartesian_frames_hold_the_asked_share_of_lines_each_once(pattern, acceleration, matrix):
    trajectory, frame = cartesian(5, acceleration, matrix, pattern, np.random.default_rng(0))
    ny, nx = matrix
    lines = lines_of(trajectory, ny)
    np.testing.assert_allclose(trajectory[0, :, 1], (np.arange(nx) - nx // 2) / nx)
    for index in range(5):
        mine = lines[frame == index]
        assert len(mine) == len(set(mine)) == round(ny / acceleration)
        assert mine.min() >= 0 and mine.max() < ny
        assert (np.diff(mine) > 0).all()


def test_variable_density_keeps_the_centre_and_thins_outwards():
    trajectory, frame = cartesian(200, 4, (64, 16), "vista", np.random.default_rng(0))
    lines = lines_of(trajectory, 64)
    share = np.bincount(lines, minlength=64) / 200
    np.testing.assert_array_equal(share[30:34], 1)
    assert share[24:40].mean() > 2 * share[:16].mean() > 0
    assert len({tuple(lines[frame == index]) for index in range(200)}) > 190


def test_uniform_lines_are_evenly_spaced_and_move_between_frames():
    trajectory, frame = cartesian(4, 4, (32, 16), "uniform", np.random.default_rng(0))
    lines = lines_of(trajectory, 32)
    assert all(set(np.diff(lines[frame == index])) == {4} for index in range(4))
    assert len({tuple(lines[frame == index]) for index in range(4)}) > 1


@pytest.mark.parametrize(("pattern", "acceleration"), [("vista", 8), ("uniform", 100), ("uniform", 0.5)])
def test_an_acceleration_that_leaves_no_lines_is_refused(pattern, acceleration):
    with pytest.raises(BadRequest, match="--acceleration"):
        cartesian(2, acceleration, (32, 32), pattern, np.random.default_rng(0))


@pytest.mark.parametrize("pattern", LINES)
@pytest.mark.parametrize("calibration", [0, 5, 8])
def test_calibration_lines_are_in_every_frame(pattern, calibration):
    trajectory, frame = cartesian(4, 4, (48, 8), pattern, np.random.default_rng(0), calibration)
    lines = lines_of(trajectory, 48)
    centre = np.arange(24 - calibration // 2, 24 - calibration // 2 + calibration)
    for index in range(4):
        mine = lines[frame == index]
        assert set(centre) <= set(mine) and len(set(mine)) == len(mine)
        beside = 0 if pattern == "vista" else (calibration + 1) // 2
        assert 12 <= len(mine) <= 12 + max(calibration - 1, 0) and len(mine) >= 12 + beside


def test_interleaved_lines_move_by_one_and_fixed_ones_not_at_all():
    for pattern, moved in (("interleaved", 1), ("fixed", 0)):
        trajectory, _ = cartesian(5, 4, (32, 8), pattern, np.random.default_rng(0))
        lines = lines_of(trajectory, 32).reshape(5, 8)
        assert 16 in lines[0]
        assert (np.diff(np.sort(lines, 1)[:, 1]) % 4 == moved).all()
        assert len(set(lines.ravel())) == (32 if moved else 8)


def test_more_calibration_lines_than_there_are_lines_are_refused():
    for pattern, words in (("uniform", "--calibration 40"), ("vista", "--acceleration")):
        with pytest.raises(BadRequest, match=words):
            cartesian(2, 4, (32, 8), pattern, np.random.default_rng(0), 40)
