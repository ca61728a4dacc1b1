"""Random scenes: what a network can learn from."""

import hashlib

import numpy as np
import pytest

from dainr.simulate.scenes import Course, draw_scene


@pytest.fixture(scope="module", params=range(3))
def scene(request: pytest.FixtureRequest) -> np.ndarray:
    return draw_scene(6, 48, np.random.default_rng(request.param))


def test_a_scene_has_magnitudes_near_one_at_its_brightest(scene: np.ndarray) -> None:
    assert scene.shape == (6, 48, 48) and scene.dtype == np.float32
    assert scene.min() >= 0
    assert np.percentile(scene, 99.5) == pytest.approx(1, abs=1e-3)


def test_a_part_of_it_moves_and_most_does_not(scene: np.ndarray) -> None:
    moved = scene.std(0)
    assert np.quantile(moved, 0.95) > 0.02
    assert np.median(moved) < 0.5 * np.quantile(moved, 0.95)


def test_it_follows_from_its_random_numbers() -> None:
    first, again, other = (draw_scene(2, 32, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_cycle_closes() -> None:
    scene = draw_scene(16, 48, np.random.default_rng(0))
    steps = np.abs(np.roll(scene, -1, 0) - scene).mean((1, 2))
    assert steps[-1] <= 1.5 * steps[:-1].max()


def test_the_scenes_that_the_shipped_weights_were_trained_with_are_the_same_as_ever() -> None:
    scene = draw_scene(6, 48, np.random.default_rng(0))
    assert hashlib.sha256((255 * scene).round().astype(np.uint8).tobytes()).hexdigest()[:16] == "222374893ca185c4"


def test_a_breath_carries_the_organs_and_leaves_the_edges() -> None:
    breath = np.array([0.0, 0.05])
    still, moved = draw_scene(2, 64, np.random.default_rng(1), Course(0, breath))
    inner, rim = np.s_[20:44, 20:44], np.s_[:4]
    back = np.roll(moved, -round(0.05 * 64), 0)
    assert np.abs(back - still)[inner].mean() < 0.6 * np.abs(moved - still)[inner].mean()
    assert np.abs(moved - still)[rim].mean() < 0.05


def test_contrast_brightens_some_leaves_and_nothing_moves() -> None:
    scene = draw_scene(4, 48, np.random.default_rng(2), Course(0, contrast=np.array([0.0, 1.0, 1.0, 1.0])))
    gain = scene[-1] - scene[0]
    assert gain.min() > -0.01
    assert gain.max() > 0.1 and np.median(gain) < 0.02


def test_two_beats_are_the_same_beat_twice() -> None:
    scene = draw_scene(8, 48, np.random.default_rng(3), Course(2))
    np.testing.assert_allclose(scene[:4], scene[4:], atol=1e-5)
    assert np.abs(scene[0] - scene[2]).max() > 0.1
