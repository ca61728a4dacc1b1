"""The benchmark of motion: the truth scores as the truth, and a registration goes the way that it should."""

import numpy as np
import pytest

from benchmarks import motion
from dainr.simulate import SimulationConfig

CONFIG = SimulationConfig(phantom="textured", matrix=72, frames=5)


@pytest.fixture(scope="module")
def truth() -> motion.Truth:
    return motion.truth_of(CONFIG)


def test_the_cavity_shrinks_as_its_radius_does(truth: motion.Truth) -> None:
    assert truth.ejection == pytest.approx(100 * (1 - 0.66**2), abs=4)
    assert truth.wall.sum() > 50 and truth.moving[truth.wall].mean() > 0.8
    assert -25 < truth.strain < -8


def test_nothing_moves_scores_what_there_is_to_see(truth: motion.Truth) -> None:
    still = np.zeros_like(truth.displacement)
    median, _, _, folds, closure, dice, _, off, strain = motion.scored(still, still[0], truth)
    assert median > 0.3 and folds == closure == 0 and dice < 0.95
    assert off == pytest.approx(-truth.ejection) and strain == pytest.approx(-truth.strain, abs=1e-6)


def test_the_truth_filled_up_scores_as_the_truth(truth: motion.Truth) -> None:
    known = np.isfinite(truth.displacement).all((0, 1))
    filled = np.where(known, truth.displacement, 0)
    figures = motion.scored(filled, np.zeros((2, 72, 72)), truth)
    assert figures[:3] == [0, 0, 0]
    assert len(motion.cells([*figures, 1.0])) == len(motion.COLUMNS) - 2


@pytest.mark.parametrize("name", motion.REGISTRATIONS)
def test_a_registration_leads_from_the_fixed_image_to_the_moving_one(name: str) -> None:
    y, x = np.meshgrid(np.arange(36.0), np.arange(36.0), indexing="ij")

    def blob(at: float) -> np.ndarray:
        return np.exp(-((x - at) ** 2 + (y - 17) ** 2) / 40).astype(np.float32)

    found = motion.REGISTRATIONS[name](blob(17), blob(18.5))
    assert found.shape == (2, 36, 36)
    assert found[0, 15:20, 15:20].mean() == pytest.approx(1.5, abs=0.3)
    assert abs(found[1, 15:20, 15:20].mean()) < 0.3
