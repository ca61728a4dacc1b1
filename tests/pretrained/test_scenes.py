"""Random scenes: what a network can learn from."""

import numpy as np
import pytest

from dainr.pretrained.scenes import draw_scene


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
