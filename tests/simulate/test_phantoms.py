"""Every phantom is what its name says, and its closed-form k-space is the transform of its picture."""

import numpy as np
import pytest

from dainr.prepare.frames import frame_times, frames_as_stored
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.simulate.bolus import gamma_variate
from dainr.simulate.phantom import contraction, ellipse_image, ellipse_kspace
from dainr.simulate.phantoms import PHANTOMS, frame_centres, readout_times
from dainr.simulate.real_time import BREATH, EXTRA, LENGTH, deep_breath, irregular

from .test_phantom import POINTS, brute_force, painted

OTHERS = [name for name in PHANTOMS if name != "beating"]
NO_HEARTBEAT = [name for name in PHANTOMS if not PHANTOMS[name].is_heartbeat]
TIMES = np.linspace(0, 1, 401)


def series(name, n=64, frames=20):
    return np.stack([ellipse_image(PHANTOMS[name].ellipses(), (n, n), t) for t in frame_centres(frames)])


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("time", [0.21, 0.55])
def test_it_transforms_to_its_picture(name, time):
    ellipses = PHANTOMS[name].ellipses()
    expected = brute_force(painted(ellipses, time), POINTS)
    np.testing.assert_allclose(ellipse_kspace(ellipses, POINTS, np.array([time])), expected, atol=6e-4)


@pytest.mark.parametrize("name", PHANTOMS)
def test_it_lies_in_the_field_of_view_and_crosses_the_edges_of_its_inner_two_thirds(name):
    images = series(name)
    assert images.min() > -1e-9
    brightest = images.max(0)
    assert max(brightest[[0, -1]].max(), brightest[:, [0, -1]].max()) == 0
    edge = round(64 / 6)
    for side in (brightest[edge], brightest[-1 - edge], brightest[:, edge], brightest[:, -1 - edge]):
        assert side.max() > 0.1 * images.max()


def test_contrast_comes_to_the_right_ventricle_then_the_left_then_weakly_the_wall_but_for_a_segment():
    images = series("bolus", 96, 60)
    at = {"right": (0.015, -0.10), "left": (0.02, 0.06), "wall": (-0.072, 0.06), "segment": (0.085, 0.125)}
    course = {name: images[:, round(96 * y) + 48, round(96 * x) + 48] for name, (y, x) in at.items()}
    peaks = {name: values.argmax() for name, values in course.items()}
    assert 0 < peaks["right"] < peaks["left"] < peaks["wall"] < 59
    rises = {name: values.max() - values[0] for name, values in course.items()}
    assert rises["right"] > rises["left"] > 2 * rises["wall"] > 4 * rises["segment"]
    assert course["right"][-1] < course["right"][0] + 0.1 * rises["right"]


def test_a_bolus_is_nothing_until_it_arrives_and_one_at_its_peak():
    course = gamma_variate(0.2, 0.4)(TIMES)
    assert course[TIMES <= 0.2].max() == 0
    assert course.max() == pytest.approx(1)
    assert TIMES[course.argmax()] == pytest.approx(0.4, abs=0.003)


def test_organs_light_up_within_two_frames_and_decay_without_moving():
    images = series("decay")
    assert images.sum((1, 2)).argmax() <= 2
    organs = images.max(0) > 0.1
    assert organs.mean() < 0.3
    brightest, last = images.max(0)[organs], images[-1][organs]
    assert 15 < np.median(brightest / last) < 25
    assert np.ptp(brightest / last) > 10
    np.testing.assert_array_equal(images[5] > 0, images[-1] > 0)


def test_one_breath_carries_everything_by_several_pixels_and_back():
    moved = deep_breath(TIMES)
    assert moved[[0, -1]].max() < 1e-9 and moved.max() == pytest.approx(BREATH, rel=1e-3)
    assert BREATH * 96 > 4
    images = series("breath", 96, 40)
    top = np.array([np.flatnonzero(image.max(1) > 0.3)[0] for image in images])
    assert top.max() - top[0] == 5 and top[-1] == top[0]


def test_the_extrasystole_is_early_weak_and_followed_by_a_pause():
    contracted, _ = irregular(EXTRA)(TIMES)
    inner = contracted[1:-1]
    peaks = TIMES[1:-1][(inner > contracted[:-2]) & (inner > contracted[2:]) & (inner > 0.1)]
    assert len(peaks) == 4
    strength = np.interp(peaks, TIMES, contracted)
    assert strength.argmin() == 2 and strength[2] < 0.7 * strength[[0, 1, 3]].min()
    gaps = np.diff(peaks)
    assert gaps[1] < 0.8 * gaps[0] < gaps[2]
    assert contracted[(TIMES > 0.66) & (TIMES < 0.75)].max() < 1e-6
    assert np.abs(np.diff(contracted)).max() < 0.1
    np.testing.assert_allclose(contracted[TIMES < LENGTH], contraction(TIMES[TIMES < LENGTH] / LENGTH))


@pytest.mark.parametrize("name", NO_HEARTBEAT)
def test_its_scan_is_no_closed_cycle_and_has_times_in_seconds_but_no_phases(name):
    scan = simulate_phantom(SimulationConfig(phantom=name, matrix=16, frames=6, coils=2, spokes=5))
    assert scan.phase is None and scan.cyclic is False
    assert frames_as_stored(scan).cyclic is False
    times, measured = frame_times(scan.times[0], scan.frame[0])
    assert measured
    np.testing.assert_allclose(times, PHANTOMS[name].seconds * np.arange(6) / 6)


def test_the_beating_phantom_is_one_heartbeat_with_phases():
    scan = simulate_phantom(SimulationConfig(matrix=16, frames=6, coils=2, spokes=5))
    assert scan.cyclic is None
    np.testing.assert_allclose(scan.phase[0], scan.times[0], atol=1e-6)


def test_a_perfusion_frame_is_measured_within_a_small_part_of_a_heartbeat():
    time = readout_times(PHANTOMS["bolus"], np.repeat(np.arange(4), 5)).reshape(4, 5)
    np.testing.assert_allclose(time.mean(1), frame_centres(4))
    assert np.ptp(time, axis=1).max() < 0.15 / 4
    assert (np.diff(time.ravel()) > 0).all()
