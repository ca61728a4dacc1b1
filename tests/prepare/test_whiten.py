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


def at_edge(scan):
    """The outermost twentieth of the samples."""
    radius = np.hypot(*scan.trajectory[0].reshape(-1, 2).T)
    return scan.kspace[0].reshape(scan.n_coils, -1)[:, radius.argsort()[-len(radius) // 20 :]]


def test_the_covariance_is_that_of_the_noise_measurement():
    covariance, source = noise_covariance(random_complex(4, 1, 1), NO_TRAJECTORY, coloured(50000), (8, 8))
    assert source == "noise measurement"
    np.testing.assert_allclose(covariance, COVARIANCE, atol=0.03 * np.abs(COVARIANCE).max())


def test_whitened_noise_has_the_identity_as_covariance():
    covariance, _ = noise_covariance(random_complex(4, 1, 1), NO_TRAJECTORY, coloured(20000), (8, 8))
    whitened = whiten(coloured(100, 300, seed=4), covariance)
    assert whitened.dtype == np.complex64
    np.testing.assert_allclose(covariance_of(whitened), np.eye(4), atol=0.03)


def test_the_noise_of_a_simulated_scan_becomes_white():
    noisy, clean = (
        simulate_phantom(SimulationConfig(spokes=9, coils=5, frames=8, matrix=32, snr=snr)) for snr in (20, 1e12)
    )
    covariance, _ = noise_covariance(noisy.kspace[0], noisy.trajectory[0], noisy.noise, noisy.matrix)
    whitened = whiten(noisy.kspace[0] - clean.kspace[0], covariance)
    np.testing.assert_allclose(covariance_of(whitened), np.eye(5), atol=0.08)


@pytest.mark.parametrize("noise", [None, np.zeros((4, 100), np.complex64), np.ones((4, 7), np.complex64)])
@pytest.mark.parametrize("snr", [10, 300])
def test_without_a_usable_measurement_spokes_show_the_noise_beyond_the_field_of_view(noise, snr):
    scan = simulate_phantom(SimulationConfig(spokes=15, coils=4, frames=6, matrix=48, snr=snr))
    covariance, source = noise_covariance(scan.kspace[0], scan.trajectory[0], noise, scan.matrix)
    assert source == "readouts beyond the field of view (no noise measurement in the file)"
    true = covariance_of(scan.noise)
    np.testing.assert_allclose(covariance, true, atol=0.15 * np.abs(true).max())


@pytest.mark.parametrize(("snr", "less"), [(20, 1.01), (300, 0.3)])
def test_lines_show_it_in_what_changes_at_the_edge(snr, less):
    scan = simulate_phantom(SimulationConfig("uniform", acceleration=3, coils=4, frames=12, matrix=48, snr=snr))
    covariance, source = noise_covariance(scan.kspace[0], scan.trajectory[0], None, scan.matrix)
    assert source.startswith("changes at the k-space edge")
    true = np.trace(covariance_of(scan.noise)).real
    assert 0.9 * true < np.trace(covariance).real < less * np.trace(covariance_of(at_edge(scan))).real


def test_where_nothing_was_measured_twice_and_nothing_beyond_the_edge_shows_it(noisy_scan):
    scan = noisy_scan
    inside = scan.kspace[0][..., ::2], scan.trajectory[0][:, ::2]
    covariance, source = noise_covariance(*inside, None, scan.matrix)
    assert source.startswith("k-space edge")
    ratio = np.diag(covariance).real / np.diag(covariance_of(scan.noise)).real
    assert (ratio > 0.6).all() and (ratio < 2).all()


def test_readouts_that_frames_share_and_what_a_filter_cut_off_do_not_tell_the_noise(noisy_scan):
    scan = noisy_scan
    shown = np.fft.fft(scan.kspace[0], axis=2)
    shown[..., np.abs(np.fft.fftfreq(scan.n_samples)) > 0.3] = 0
    cut = np.fft.ifft(shown, axis=2).astype(np.complex64)
    twice = np.repeat(cut, 2, axis=1), np.repeat(scan.trajectory[0], 2, axis=0)
    assert noise_covariance(*twice, None, scan.matrix)[1].startswith("k-space edge")


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
    covariance, _ = noise_covariance(random_complex(4, 1, 1), NO_TRAJECTORY, noise, (8, 8))
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
