"""Estimated coil maps explain the coil images of the object; where ESPIRiT cannot, the fallback does and says so."""

import numpy as np
import pytest

from benchmarks.delays import MATRIX, Case, measure
from dainr.prepare.average import average_kspace
from dainr.prepare.coil_maps import estimate_coil_maps
from dainr.prepare.density import even_density, ramp_density
from dainr.prepare.few_spokes import filled_width
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.simulate.coils import coil_coefficients, coil_maps
from dainr.simulate.phantom import beating_thorax, ellipse_image
from tests.io import centred_fft, centred_ifft, fft_image, random_complex

SIZE = 48


def simulated(matrix=SIZE, frames=4, **changes):
    return simulate_phantom(SimulationConfig(coils=5, frames=frames, matrix=matrix, **changes))


def grid(ny, nx):
    axes = [(np.arange(n) - n // 2) / n for n in (ny, nx)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).astype(np.float32)


@pytest.fixture(scope="module")
def truth():
    """Coil images of the same object under the same coils, fully sampled and without noise."""
    return fft_image(simulated(frames=1, pattern="uniform", acceleration=1, snr=1e9))


def unexplained(images, maps):
    rest = images - maps * (maps.conj() * images).sum(0)
    return np.linalg.norm(rest) / np.linalg.norm(images)


@pytest.mark.parametrize("changes", [{"spokes": 13}, {"pattern": "uniform", "acceleration": 2}])
def test_maps_from_an_undersampled_scan_explain_the_true_coil_images(truth, changes):
    scan = simulated(snr=100, **changes)
    trajectory, cartesian = scan.trajectory[0], scan.is_cartesian
    density = even_density(trajectory) if cartesian else ramp_density(trajectory)
    found = estimate_coil_maps(scan.kspace[0], trajectory, density, scan.matrix, cartesian)
    assert ("smooth maps" if cartesian else "ESPIRiT on twice the field of view") in found.method
    assert found.maps.shape == (5, SIZE, SIZE)
    np.testing.assert_allclose(np.linalg.norm(found.maps, axis=0), 1, rtol=1e-4)
    assert unexplained(truth, found.maps) < 0.1
    assert found.residual < 0.15
    wrong = np.roll(found.maps, 1, axis=0)
    assert unexplained(truth, wrong) > 0.5


@pytest.mark.parametrize("spokes", [13, 25])
@pytest.mark.parametrize("order", ["golden", "half turn"])
def test_a_single_frame_of_few_spokes_is_enough(order, spokes):
    kspace, trajectory = measure(Case(order, spokes, coils=5), ((0, 0), (0, 0)))
    found = estimate_coil_maps(kspace, trajectory, ramp_density(trajectory), (MATRIX, MATRIX), False)
    assert found.method == "ESPIRiT on twice the field of view" and found.residual < 0.05
    maps = coil_maps(coil_coefficients(5, np.random.default_rng(0)), (MATRIX, MATRIX))
    images = maps * ellipse_image(beating_thorax(), (MATRIX, MATRIX), 0.0)
    assert unexplained(images, found.maps) < 0.025


def test_spokes_that_are_not_oversampled_are_estimated_on_their_field_of_view():
    kspace, trajectory = measure(Case("golden", 69, oversampling=1), ((0, 0), (0, 0)))
    found = estimate_coil_maps(kspace, trajectory, ramp_density(trajectory), (MATRIX, MATRIX), False)
    assert found.method == "ESPIRiT on the field of view" and found.residual < 0.1


def test_spokes_fill_the_centre_as_wide_as_their_largest_gap_lets_them():
    _, trajectory = measure(Case("full turn", 25), ((0, 0), (0, 0)))
    assert filled_width(trajectory, (MATRIX, MATRIX)) == pytest.approx(2 * 25 / np.pi, rel=0.01)
    _, repeated = measure(Case("full turn", 26), ((0, 0), (0, 0)))  # every spoke has its opposite
    assert filled_width(repeated, (MATRIX, MATRIX)) == pytest.approx(2 * 13 / np.pi, rel=0.01)
    assert filled_width(grid(16, 16), (16, 16)) == np.inf


@pytest.mark.parametrize("cartesian", [True, False])
def test_a_matrix_that_is_not_square_gets_maps_of_its_shape_in_the_right_place(cartesian):
    random, (ny, nx) = np.random.default_rng(0), (40, 56)
    y, x = np.moveaxis(grid(ny, nx), -1, 0)
    places = [(-0.4, 0.1), (0.4, 0.3), (0.1, -0.5), (0.0, 0.5)]
    maps = np.stack([np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 0.4 + 1j * cy * x) for cy, cx in places])
    image = (np.hypot(y, x) < 0.35) * (1 + 0.3 * random.standard_normal((ny, nx)))
    kspace, trajectory = centred_fft(maps * image).astype(np.complex64), grid(ny, nx)
    found = estimate_coil_maps(kspace, trajectory, even_density(trajectory), (ny, nx), cartesian)
    assert ("smooth maps" if cartesian else "ESPIRiT on the field of view") in found.method
    assert "failed" not in found.method
    assert unexplained(maps * image, found.maps) < 0.05


def test_a_calibration_region_too_small_for_espirit_takes_the_fallback_and_says_why():
    y, x = np.moveaxis(grid(8, 8), -1, 0)
    maps = np.stack([1 + x, 1 - x, 1 + 1j * y])
    kspace = centred_fft(maps * (np.hypot(y, x) < 0.4)).astype(np.complex64)
    found = estimate_coil_maps(kspace, grid(8, 8), np.ones((8, 8), np.float32), (8, 8), False)
    assert found.method.startswith("adaptive combination on the field of view (ESPIRiT failed: the calibration region")
    assert "8 samples wide" in found.method
    np.testing.assert_allclose(np.linalg.norm(found.maps, axis=0), 1, rtol=1e-4)
    assert found.residual < 0.3


def test_data_without_coil_structure_takes_the_fallback_and_says_why():
    kspace = random_complex(6, 32, 32)
    found = estimate_coil_maps(kspace, grid(32, 32), np.ones((32, 32), np.float32), (32, 32), False)
    assert found.method.startswith("adaptive combination") and "unexplained" in found.method
    assert found.residual > 0.2
    assert np.isfinite(found.maps).all()


def test_a_single_coil_has_a_map_of_one():
    scan = simulate_phantom(SimulationConfig(coils=1, frames=2, matrix=32, spokes=20))
    trajectory = scan.trajectory[0]
    found = estimate_coil_maps(scan.kspace[0], trajectory, ramp_density(trajectory), (32, 32), False)
    np.testing.assert_allclose(np.abs(found.maps), 1, rtol=1e-4)


def test_the_time_average_of_spokes_shows_the_object_in_the_middle_of_twice_the_field_of_view(truth):
    scan = simulated(spokes=40, frames=2, snr=1e6)
    trajectory = scan.trajectory[0]
    kspace = average_kspace(scan.kspace[0], trajectory, ramp_density(trajectory), (96, 96), scan.matrix, 2)
    image = np.abs(centred_ifft(kspace))
    middle = image[:, 24:72, 24:72]
    assert np.corrcoef(middle.ravel(), np.abs(truth).ravel())[0, 1] > 0.9
    assert np.linalg.norm(middle) > 0.9 * np.linalg.norm(image)
