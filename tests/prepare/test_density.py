"""Densities are the area of k-space a sample stands for."""

import numpy as np
import pytest

from dainr.prepare.density import even_density, passes_centre, ramp_density
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.simulate.sampling import radial

SPOKES = radial(1, 60, (32, 32))[0].astype(np.float32)


def test_a_sample_weighs_the_area_of_its_ring_shared_by_the_spokes():
    density, step, n = ramp_density(SPOKES), 1 / 64, 60
    radius = np.abs(np.arange(64) - 32) * step
    ring = np.pi * radius * step / n  # of two samples, one on either side
    ring[32] = np.pi * (step / 2) ** 2 / n  # the disc in the middle
    np.testing.assert_allclose(density, np.broadcast_to(ring / ring.max(), density.shape), rtol=1e-3)


def test_weighted_gridding_of_a_fully_sampled_scan_shows_the_object():
    scan = simulate_phantom(SimulationConfig(spokes=60, coils=1, frames=1, matrix=32, snr=500))
    y, x = np.meshgrid(np.arange(32) - 16, np.arange(32) - 16, indexing="ij")
    points = scan.trajectory[0].reshape(-1, 2)
    adjoint = np.exp(2j * np.pi * (y[..., None] * points[:, 0] + x[..., None] * points[:, 1]))
    samples = scan.kspace[0, 0].ravel()

    def likeness(weights):
        image = np.abs(adjoint @ (weights.ravel() * samples))
        return np.corrcoef(image.ravel(), scan.reference[0, 0].ravel())[0, 1]

    assert likeness(ramp_density(scan.trajectory[0])) > 0.95
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
