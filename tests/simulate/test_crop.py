"""Tissue beyond the edges of the field of view: what is cut, what wraps, and what the reference then is."""

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.prepare.frames import frames_as_stored
from dainr.simulate import SimulationConfig, simulate_cine, simulate_phantom
from dainr.simulate.crop import central_size, cut, delivered, oversampled, whole_size
from dainr.simulate.phantom import still_ellipse
from dainr.simulate.phantoms import PHANTOMS
from tests.io import centred_fft, exact_kspace, fft_image

from .test_simulate import whitening


def config(**changes):
    full = {"pattern": "uniform", "acceleration": 1, "coils": 4, "frames": 2, "matrix": 32, "crop": True}
    return SimulationConfig(**(full | changes))


def seen(scan, frame):
    """Root sum of squares of the whitened coil images of a fully sampled frame."""
    return np.sqrt((np.abs(np.tensordot(whitening(scan), fft_image(scan, frame=frame), 1)) ** 2).sum(0))


def noise_like(*shape):
    return np.random.default_rng(0).uniform(size=shape)


@pytest.mark.parametrize("shape", [(24, 36), (31, 40), (45, 28)])
def test_a_fully_sampled_series_transforms_back_to_its_reference(shape):
    scan = simulate_cine(noise_like(2, *shape), config(snr=1e4))
    assert scan.matrix == central_size(shape)
    assert all(n % 2 == 0 and abs(n - 2 * whole / 3) <= 1 for n, whole in zip(scan.matrix, shape, strict=True))
    for frame in range(2):  # the covariance of the noise measurement is known to a percent or two
        image, reference = seen(scan, frame), scan.reference[0, frame]
        scale = np.vdot(image, reference) / np.vdot(image, image)
        assert scale == pytest.approx(1, abs=0.03)
        assert np.linalg.norm(scale * image - reference) < 0.02 * np.linalg.norm(reference)


@pytest.mark.parametrize("name", PHANTOMS)
def test_a_fully_sampled_phantom_transforms_back_to_its_reference(name):
    scan = simulate_phantom(config(phantom=name, matrix=64, frames=3, snr=1e4))
    for frame in range(3):
        image, reference = seen(scan, frame), scan.reference[0, frame]
        assert np.linalg.norm(image - reference) < 0.15 * np.linalg.norm(scan.reference[0].max(0))
        inside = reference > np.percentile(reference, 80)
        assert np.median(image[inside] / reference[inside]) == pytest.approx(1, abs=0.03)


def images_beside(at, **changes):
    """Coil images that an ellipse adds, centred at (y, x) in lengths of the whole, from the middle."""
    scans = [simulate_phantom(config(matrix=48, frames=1, snr=1e9, **changes), beside) for beside in ([], [at])]
    return np.subtract(*(fft_image(scan, frame=0) for scan in scans[::-1]))


def test_tissue_beyond_the_edge_wraps_along_y_with_the_coils_of_its_own_place():
    low, high = (images_beside(still_ellipse(1.0, (y, 0.05), (0.04, 0.04))) for y in (0.42, 0.42 - 48 / 72))
    place = np.unravel_index(np.abs(low).sum(0).argmax(), (48, 48))
    assert abs(place[0] - (24 + 0.42 * 72 - 48)) < 4 and abs(place[1] - (24 + 0.05 * 72)) < 4
    inside = np.abs(high).sum(0) > 0.5 * np.abs(high).sum(0).max()
    assert np.linalg.norm(low[:, inside]) > 0.5 * np.linalg.norm(low)
    ratio = np.abs(low[:, inside]).mean(1) / np.abs(high[:, inside]).mean(1)
    assert ratio.max() > 3 * ratio.min()


def test_tissue_beyond_the_edge_along_x_is_cut_off():
    beyond, within = (images_beside(still_ellipse(1.0, (0.05, x), (0.04, 0.04))) for x in (0.42, 0.20))
    assert np.linalg.norm(beyond) < 0.02 * np.linalg.norm(within)


def test_the_body_is_cut_sharply_at_the_sides():
    scan = simulate_phantom(config(matrix=48, frames=1, snr=1e4))
    for column in (0, -1):
        assert seen(scan, 0)[:, column].max() > 0.3 * scan.reference.max()


def test_spokes_see_all_of_the_object_and_nothing_wraps():
    series = noise_like(1, 36, 30)
    scan, wrapped = (
        simulate_cine(series, config(pattern=pattern, acceleration=1, snr=1e9)) for pattern in ("radial", "uniform")
    )
    assert scan.n_samples == 2 * max(scan.matrix) == 48
    whole = simulate_cine(series, config(crop=False, snr=1e9))
    expected = exact_kspace(fft_image(whole, frame=0), scan.trajectory[0].astype(np.float64))
    expected *= np.sqrt(36 * 30 / (24 * 20))
    assert np.abs(scan.kspace[0] - expected).max() < 1e-3 * np.abs(expected).max()
    middle = slice(6, -6), slice(5, -5)
    shape = scan.reference[0, 0] / whole.reference[0, 0][middle]
    np.testing.assert_allclose(shape, shape.mean(), rtol=1e-4)
    assert np.abs(wrapped.reference / wrapped.reference.max() - scan.reference / scan.reference.max()).max() > 0.1


@pytest.mark.parametrize("pattern", ["radial", "vista", "uniform"])
def test_a_cropped_scan_is_an_ordinary_one(pattern):
    asked = config(pattern=pattern, acceleration=1 if pattern == "radial" else 2, coils=2, matrix=24)
    scan, plain = simulate_phantom(asked), simulate_phantom(SimulationConfig(**(vars(asked) | {"crop": False})))
    assert scan.coil_maps is None
    np.testing.assert_array_equal(scan.trajectory, plain.trajectory)
    np.testing.assert_array_equal(scan.times, plain.times)
    assert scan.reference.shape == plain.reference.shape
    assert scan.is_cartesian == (pattern != "radial")
    np.testing.assert_allclose(scan.fov_mm, np.multiply(plain.fov_mm, 2 / 3))
    assert frames_as_stored(scan).n_frames == 2


@pytest.mark.parametrize("n", [16, 17])
def test_readouts_of_twice_the_field_of_view_are_cut_to_its_middle(n):
    image = np.random.default_rng(0).standard_normal((3, 6, 2 * n))
    dense = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axes=-1)), axes=-1)
    inner = image[..., n - n // 2 : n - n // 2 + n]
    expected = np.fft.fftshift(np.fft.fft(np.fft.ifftshift(inner, axes=-1)), axes=-1)
    np.testing.assert_allclose(cut(dense), expected)
    trajectory = np.broadcast_to([0.25, 0.0], (6, n, 2))
    found = oversampled(trajectory)
    assert found.shape == (6, 2 * n, 2) and (found[..., 0] == 0.25).all()
    np.testing.assert_allclose(found[0, :, 1], (np.arange(2 * n) - n) / (2 * n))


def test_a_wrapped_image_is_the_one_whose_k_space_has_fewer_lines():
    whole = np.random.default_rng(0).standard_normal((2, 24, 24)) + 0j
    narrow = whole * (np.abs(np.arange(24) - 11.5) < 8)  # nothing beyond the edges along x
    fewer = centred_fft(delivered(narrow, (12, 16), wraps=True))
    ky, kx = (np.arange(12) - 6) / 12, (np.arange(16) - 8) / 16
    points = np.stack(np.broadcast_arrays(ky[:, None], kx), -1)
    np.testing.assert_allclose(exact_kspace(narrow, points) * np.sqrt(24 * 24 / (12 * 16)), fewer, atol=1e-9)


def test_what_does_not_wrap_is_the_middle():
    whole = np.random.default_rng(0).standard_normal((2, 25, 24)) + 0j
    np.testing.assert_array_equal(delivered(whole, (16, 16), wraps=False), whole[:, 4:20, 4:20])
    np.testing.assert_array_equal(delivered(whole, (25, 24), wraps=True), whole)


@pytest.mark.parametrize("n", [16, 17, 96, 128, 192])
def test_the_whole_is_half_as_large_again(n):
    assert abs(whole_size((n, n))[0] - 1.5 * n) <= 1
    assert whole_size((n, n))[1] % 2 == 0


def test_a_series_too_small_to_be_cropped_is_refused():
    with pytest.raises(BadRequest, match="24 pixels or more"):
        simulate_cine(np.ones((2, 20, 30)), config())
