"""Densities are the area of k-space a sample stands for."""

import numpy as np
import pytest

from dainr.prepare.density import (
    estimated_density,
    even_density,
    is_spiral,
    passes_centre,
    ramp_density,
    spiral_density,
)
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.simulate.sampling import radial, spiral

SPOKES = radial(1, 60, (32, 32))[0].astype(np.float32)


def test_a_sample_weighs_the_area_of_its_ring_shared_by_the_spokes():
    density, step, n = ramp_density(SPOKES), 1 / 64, 60
    radius = np.abs(np.arange(64) - 32) * step
    ring = np.pi * radius * step / n  # of two samples, one on either side
    ring[32] = np.pi * (step / 2) ** 2 / n  # the disc in the middle
    np.testing.assert_allclose(density, np.broadcast_to(ring / ring.max(), density.shape), rtol=1e-3)


SPIRAL = spiral(1, 24, (32, 32))[0].astype(np.float32)


def test_samples_of_spirals_share_the_area_between_their_turns():
    density = spiral_density(SPIRAL)
    inner = density[:, 30:-2]  # at constant speed and pitch all are alike away from the centre
    np.testing.assert_allclose(inner, inner.mean(), rtol=0.05)
    radius = np.hypot(SPIRAL[..., 0], SPIRAL[..., 1])
    shares = [density[radius < edge].sum() / density.sum() for edge in (0.125, 0.25, 0.375)]
    np.testing.assert_allclose(shares, [1 / 16, 1 / 4, 9 / 16], rtol=0.05)  # as the areas of the discs


def test_the_area_of_spokes_is_their_ramp():
    np.testing.assert_allclose(spiral_density(SPOKES)[:, 1:-1], ramp_density(SPOKES)[:, 1:-1], atol=0.01)


def test_each_kind_of_trajectory_gets_its_density():
    lines = np.stack(np.meshgrid(np.arange(8) / 8 - 0.5, np.arange(16) / 16 - 0.5, indexing="ij"), -1)
    one_shot = lines.reshape(1, -1, 2)  # an EPI, say
    kinds = {"ramp": SPOKES, "spiral": SPIRAL, "one": lines}
    assert {name: estimated_density(k, np.ones(2))[0] for name, k in kinds.items()} == {name: name for name in kinds}
    assert estimated_density(one_shot, np.ones(2))[0] == "one"
    assert is_spiral(SPIRAL[:, ::-1]) and is_spiral(np.concatenate([SPIRAL[:, ::-1], -SPIRAL], 1))


@pytest.mark.parametrize("pattern", ["radial", "spiral"])
def test_weighted_gridding_of_a_fully_sampled_scan_shows_the_object(pattern):
    scan = simulate_phantom(SimulationConfig(pattern=pattern, spokes=60, coils=1, frames=1, matrix=32, snr=500))
    y, x = np.meshgrid(np.arange(32) - 16, np.arange(32) - 16, indexing="ij")
    points = scan.trajectory[0].reshape(-1, 2)
    adjoint = np.exp(2j * np.pi * (y[..., None] * points[:, 0] + x[..., None] * points[:, 1]))
    samples = scan.kspace[0, 0].ravel()

    def likeness(weights):
        image = np.abs(adjoint @ (weights.ravel() * samples))
        return np.corrcoef(image.ravel(), scan.reference[0, 0].ravel())[0, 1]

    assert likeness(estimated_density(scan.trajectory[0], np.ones(2))[1]) > 0.95
    assert likeness(even_density(scan.trajectory[0])) < 0.9


def test_densities_are_positive_up_to_one_whatever_the_trajectory():
    random = np.random.default_rng(0)
    for trajectory in (SPOKES, random.uniform(-0.5, 0.5, (5, 7, 2)), random.uniform(-0.5, 0.5, (5, 1, 2))):
        density = ramp_density(trajectory.astype(np.float32))
        assert density.dtype == np.float32
        assert density.min() > 0
        assert density.max() == pytest.approx(1)


def test_samples_all_at_the_centre_and_samples_on_a_grid_weigh_one():
    np.testing.assert_array_equal(ramp_density(np.zeros((2, 3, 2), np.float32)), np.ones((2, 3)))
    np.testing.assert_array_equal(even_density(np.zeros((2, 3, 2), np.float32)), np.ones((2, 3)))


def test_points_are_no_spokes():
    assert not passes_centre(np.array([[[0.0, 0.0]], [[0.01, 0.3]]]))
