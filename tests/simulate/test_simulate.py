"""A simulated scan holds what it says: signal, noise of the asked level, its measurement, and the reference."""

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.simulate import SimulationConfig, simulate_cine, simulate_phantom
from tests.io import exact_kspace, fft_image


def config(**changes):
    return SimulationConfig(**({"coils": 4, "frames": 3, "matrix": 32, "spokes": 7} | changes))


def full(**changes):
    return config(pattern="uniform", acceleration=1, **changes)


def whitening(scan):
    """The inverse square root of the covariance of the scan's noise measurement."""
    values, vectors = np.linalg.eigh(np.cov(scan.noise))
    return vectors / np.sqrt(values) @ vectors.conj().T


def test_the_noise_of_the_k_space_is_that_of_its_measurement():
    noisy, clean = (simulate_phantom(config(snr=snr, frames=8)) for snr in (10, 1e9))
    noise = (noisy.kspace - clean.kspace)[0].reshape(4, -1)
    np.testing.assert_allclose(np.cov(noise), np.cov(noisy.noise), atol=0.1 * np.abs(np.cov(noise)).max())
    neighbours = abs(np.corrcoef(noise)[0, 1])
    assert 0.2 < neighbours < 0.3


@pytest.mark.parametrize("snr", [10, 50])
def test_the_signal_stands_over_the_noise_as_asked(snr):
    noisy, clean = (simulate_phantom(full(snr=level, matrix=48)) for level in (snr, 1e9))
    noise_of_a_pixel = np.sqrt((np.abs(noisy.kspace - clean.kspace) ** 2).mean())
    images = np.stack([fft_image(clean, frame=n) for n in range(3)])
    signal = np.percentile(np.sqrt((np.abs(images) ** 2).sum(1)).max(0), 99)
    assert signal / noise_of_a_pixel == pytest.approx(snr, rel=0.12)


def test_the_reference_is_the_whitened_root_sum_of_squares_of_the_fully_sampled_images():
    scan = simulate_phantom(full(matrix=64, snr=200))
    for frame in range(3):
        whitened = np.tensordot(whitening(scan), fft_image(scan, frame=frame), 1)
        image, reference = np.sqrt((np.abs(whitened) ** 2).sum(0)), scan.reference[0, frame]
        assert np.linalg.norm(image - reference) < 0.15 * np.linalg.norm(reference)
        inside = reference > np.percentile(reference, 80)
        assert np.median(image[inside] / reference[inside]) == pytest.approx(1, abs=0.02)


def test_radial_and_cartesian_measure_the_same_object():
    spokes, grid = simulate_phantom(config(snr=1e9)), simulate_phantom(full(snr=1e9, frames=20))
    systole = int(0.4 * 21)
    near = np.argmin(np.abs(grid.phase.reshape(20, -1).mean(1) - spokes.phase[0, systole]))
    images = fft_image(grid, frame=near)
    inner = slice(20, 45)  # the outer samples differ by what a picture of 32 pixels cannot hold
    expected = exact_kspace(images, spokes.trajectory[0, systole : systole + 1, inner].astype(np.float64))[:, 0]
    measured = spokes.kspace[0, :, systole, inner]
    assert np.linalg.norm(measured - expected) < 0.05 * np.linalg.norm(expected)


def test_the_heart_moves_within_a_frame():
    scan = simulate_phantom(full(snr=1e9))
    np.testing.assert_allclose(scan.times, scan.phase, atol=1e-6)
    assert (np.diff(scan.times[0]) > 0).all()
    assert np.abs(np.diff(scan.reference[0], axis=0)).max() > 0.1 * scan.reference.max()


def test_the_same_seed_gives_the_same_scan_and_another_another():
    first, again, other = (simulate_phantom(config(seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.kspace, again.kspace)
    np.testing.assert_array_equal(first.noise, again.noise)
    assert np.abs(first.kspace - other.kspace).max() > 0


@pytest.mark.parametrize("pattern", ["radial", "vista"])
def test_a_given_cine_is_measured_frame_by_frame(pattern):
    series = np.random.default_rng(0).uniform(size=(3, 18, 21))
    scan = simulate_cine(series, config(pattern=pattern, acceleration=2, snr=1e9, coils=1))
    assert (scan.matrix, scan.n_frames) == ((18, 21), 3)
    assert scan.fov_mm[0] / 18 == pytest.approx(scan.fov_mm[1] / 21)
    bright = scan.reference[0] / series
    np.testing.assert_allclose(bright, bright[[0, 0, 0]], rtol=1e-4)
    still = simulate_cine(series[[1, 1, 1]], config(pattern=pattern, acceleration=2, snr=1e9, coils=1))
    np.testing.assert_allclose(
        scan.kspace[0, :, scan.frame[0] == 1], still.kspace[0, :, still.frame[0] == 1], atol=1e-4
    )
    assert np.abs(scan.kspace - still.kspace)[0, :, scan.frame[0] == 0].max() > 1e-2


def test_a_fully_sampled_cine_transforms_back_to_its_magnitudes():
    series = np.random.default_rng(0).uniform(size=(2, 16, 20))
    scan = simulate_cine(series, full(snr=1e7))
    for frame in range(2):
        whitened = np.tensordot(whitening(scan), fft_image(scan, frame=frame), 1)
        np.testing.assert_allclose(np.sqrt((np.abs(whitened) ** 2).sum(0)), scan.reference[0, frame], rtol=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"spokes": 0}, "--spokes 0"),
        ({"coils": 0}, "--coils 0"),
        ({"frames": 0}, "--frames 0"),
        ({"matrix": 8}, "--matrix 8"),
        ({"snr": 0}, "--snr"),
        ({"snr": float("nan")}, "--snr"),
        ({"acceleration": 0.5}, "--acceleration"),
        ({"pattern": "rosette"}, "--pattern rosette"),
        ({"phantom": "dancing"}, "--phantom dancing.*choose beating, bolus, decay, breath, extra-beat or textured"),
    ],
)
def test_settings_out_of_range_are_refused(changes, words):
    with pytest.raises(BadRequest, match=words):
        config(**changes)


@pytest.mark.parametrize("series", [np.ones((2, 8, 8)), np.zeros((2, 16, 16)), np.full((2, 16, 16), np.nan)])
def test_a_cine_that_cannot_be_measured_is_refused(series):
    with pytest.raises(BadRequest, match="--cine"):
        simulate_cine(series, config())
