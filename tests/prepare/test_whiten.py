"""After whitening, noise is independent and of unit variance, and coil maps still belong to the data."""

import numpy as np
import pytest

from dainr.prepare.whiten import noise_covariance, unit_norm, whiten, whiten_maps
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.io import random_complex

MIXING = random_complex(4, 4, seed=9) + 2 * np.eye(4)
COVARIANCE = (MIXING @ MIXING.conj().T).astype(np.complex128)
NO_TRAJECTORY = np.zeros((1, 1, 2), np.float32)


@pytest.fixture(scope="module")
def noisy_scan():
    """A phantom whose noise stands out at the edge of k-space."""
    return simulate_phantom(SimulationConfig(spokes=15, coils=4, frames=6, matrix=48, snr=10))


def coloured(*shape, seed=0):
    """Noise of the covariance above: white noise has unit mean square."""
    return (np.tensordot(MIXING, random_complex(4, *shape, seed=seed), 1) / np.sqrt(2)).astype(np.complex64)


def covariance_of(samples):
    flat = samples.reshape(len(samples), -1).astype(np.complex128)
    return flat @ flat.conj().T / flat.shape[1]


def test_the_covariance_is_that_of_the_noise_measurement():
    covariance, source = noise_covariance(random_complex(4, 1, 1), NO_TRAJECTORY, coloured(50000))
    assert source == "noise measurement"
    np.testing.assert_allclose(covariance, COVARIANCE, atol=0.03 * np.abs(COVARIANCE).max())


def test_whitened_noise_has_the_identity_as_covariance():
    covariance, _ = noise_covariance(random_complex(4, 1, 1), NO_TRAJECTORY, coloured(20000))
    whitened = whiten(coloured(100, 300, seed=4), covariance)
    assert whitened.dtype == np.complex64
    np.testing.assert_allclose(covariance_of(whitened), np.eye(4), atol=0.03)


def test_the_noise_of_a_simulated_scan_becomes_white():
    noisy, clean = (
        simulate_phantom(SimulationConfig(spokes=9, coils=5, frames=8, matrix=32, snr=snr)) for snr in (20, 1e12)
    )
    covariance, _ = noise_covariance(noisy.kspace[0], noisy.trajectory[0], noisy.noise)
    whitened = whiten(noisy.kspace[0] - clean.kspace[0], covariance)
    np.testing.assert_allclose(covariance_of(whitened), np.eye(5), atol=0.08)


@pytest.mark.parametrize("noise", [None, np.zeros((4, 100), np.complex64), np.ones((4, 7), np.complex64)])
def test_without_a_usable_measurement_the_edge_of_k_space_gives_the_noise(noisy_scan, noise):
    scan = noisy_scan
    covariance, source = noise_covariance(scan.kspace[0], scan.trajectory[0], noise)
    assert "k-space edge" in source and "no noise measurement" in source
    ratio = np.diag(covariance).real / np.diag(covariance_of(scan.noise)).real
    assert (ratio > 0.6).all() and (ratio < 2).all()


def test_whitened_maps_are_those_of_the_whitened_data():
    maps, image = random_complex(4, 6, 7), random_complex(6, 7, seed=3)
    whitened_maps = whiten_maps(maps, COVARIANCE)
    np.testing.assert_allclose((np.abs(whitened_maps) ** 2).sum(0), 1, rtol=1e-5)
    data = whiten(maps * image, COVARIANCE)
    np.testing.assert_allclose(whitened_maps * (whitened_maps.conj() * data).sum(0), data, atol=1e-4)


def test_a_dead_coil_does_not_spoil_the_others():
    noise = coloured(5000)
    noise[2] = 0
    data = coloured(10, 10, seed=5)
    data[2] = 0
    covariance, _ = noise_covariance(random_complex(4, 1, 1), NO_TRAJECTORY, noise)
    whitened = whiten(data, covariance)
    assert np.isfinite(whitened).all()
    assert np.abs(whitened[2]).max() < 1e-3
    assert np.mean(np.abs(whitened[[0, 1, 3]]) ** 2) == pytest.approx(1, abs=0.3)


def test_unit_norm_keeps_zeros_and_directions():
    maps = random_complex(3, 4, 5)
    maps[:, 0, 0] = 0
    normed = unit_norm(maps)
    assert (normed[:, 0, 0] == 0).all()
    np.testing.assert_allclose(np.linalg.norm(normed, axis=0).ravel()[1:], 1, rtol=1e-5)
    np.testing.assert_allclose(normed * np.linalg.norm(maps, axis=0), maps, rtol=1e-5)
