"""Maps fitted to the time average of samples on the grid: across the edges, without all lines, where tissue wraps."""

import numpy as np
import pytest

from dainr.prepare.coil_maps import estimate_coil_maps
from dainr.prepare.density import even_density
from dainr.prepare.smooth_maps import smooth_maps, time_average
from dainr.prepare.whiten import unit_norm
from tests.io import centred_fft, random_complex

SIZE = (60, 49)


def grid(ny, nx):
    axes = [(np.arange(n) - n // 2) / n for n in (ny, nx)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def maps_of(y, x, n_coils=6):
    """Sensitivities around the unit square, smooth and different at its opposite edges."""
    maps = []
    for angle in 2 * np.pi * np.arange(n_coils) / n_coils:
        distance = np.hypot(y - 0.7 * np.sin(angle), x - 0.7 * np.cos(angle))
        maps.append(np.exp(-((distance / 0.6) ** 2) + 1j * (2 * angle + np.cos(angle) * y)))
    return np.stack(maps)


def anatomy(ny, nx):
    """A magnitude with detail that goes on to all edges."""
    random = np.random.default_rng(0)
    coarse = np.kron(random.uniform(0.2, 1, (-(-ny // 5), -(-nx // 5))), np.ones((5, 5)))[:ny, :nx]
    return coarse + 0.1 * random.standard_normal((ny, nx))


def error(maps, truth, weight):
    """How much of the true coil images the maps miss, relative."""
    truth, maps = unit_norm(truth), unit_norm(maps)
    missed = 1 - np.abs((maps.conj() * truth).sum(0)) ** 2
    return np.sqrt((missed * weight**2).sum() / (weight**2).sum())


@pytest.fixture(scope="module")
def to_the_edges():
    """True maps, image and k-space with little noise of an object that all edges cut through."""
    maps, image = maps_of(*np.moveaxis(grid(*SIZE), -1, 0)), anatomy(*SIZE)
    kspace = centred_fft(maps * image) + 0.005 * random_complex(6, *SIZE)
    return maps, image, kspace.astype(np.complex64)


def test_maps_of_tissue_that_crosses_the_edges_are_as_good_as_elsewhere(to_the_edges):
    maps, image, kspace = to_the_edges
    trajectory = grid(*SIZE).astype(np.float32)
    found = estimate_coil_maps(kspace, trajectory, even_density(trajectory), SIZE, True)
    assert found.method == "smooth maps fitted to the time average"
    assert found.maps.dtype == np.complex64
    np.testing.assert_allclose(np.linalg.norm(found.maps, axis=0), 1, rtol=1e-4)
    assert error(found.maps, maps, image) < 0.01
    assert found.residual < 0.02
    edge = np.ones(SIZE, bool)
    edge[3:-3, 3:-3] = False
    assert error(found.maps, maps, image * edge) < 0.02


@pytest.mark.parametrize("lines", ["every third and some of the middle", "those of half of k-space"])
def test_lines_never_measured_are_filled_in(to_the_edges, lines):
    maps, image, kspace = to_the_edges
    ky = np.arange(SIZE[0]) - SIZE[0] // 2
    measured = (ky % 3 == 0) | (np.abs(ky) < 8) if lines.startswith("every") else ky < 5
    found = smooth_maps(kspace[:, measured], grid(*SIZE)[measured], SIZE)
    assert error(found.maps, maps, image) < 0.03


def test_where_tissue_wraps_around_finer_maps_explain_more_and_are_named():
    ny, nx = 96, 80
    whole = grid(3 * ny // 2, nx) * (1.2, 1)  # of which the lines show two thirds, the rest on top of it
    images = maps_of(*np.moveaxis(whole, -1, 0)) * anatomy(3 * ny // 2, nx)
    folded = images[:, ny // 4 : ny // 4 + ny].copy()
    folded[:, -(ny // 4) :] += images[:, : ny // 4]
    folded[:, : ny // 4] += images[:, ny // 4 + ny :]
    kspace = (centred_fft(folded) + 0.005 * random_complex(*folded.shape)).astype(np.complex64)
    found = smooth_maps(kspace, grid(ny, nx), (ny, nx))
    assert found.method == "maps of fine detail fitted to the time average: tissue seems to wrap around"
    rest = folded - found.maps * (found.maps.conj() * folded).sum(0)
    assert np.linalg.norm(rest) < 0.15 * np.linalg.norm(folded)
    assert found.residual > 0.03


def test_noise_is_no_reason_for_finer_maps(to_the_edges):
    kspace = to_the_edges[2] + np.float32(0.5) * random_complex(6, *SIZE, seed=1)
    found = smooth_maps(kspace, grid(*SIZE), SIZE)
    assert found.residual > 0.03
    assert found.method == "smooth maps fitted to the time average"


def test_a_larger_matrix_gets_the_same_maps_at_more_places(to_the_edges):
    kspace, ny, nx = to_the_edges[2][:, :, :48], *SIZE
    trajectory = grid(*SIZE)[:, :48]
    alone, finer = (smooth_maps(kspace, trajectory / times, (times * ny, times * nx)).maps for times in (1, 2))
    assert finer.shape == (6, 2 * ny, 2 * nx)
    same = np.abs((alone.conj() * finer[:, ::2, 1::2][:, :, :nx]).sum(0))
    assert same.min() > 0.999


@pytest.mark.parametrize(("n_coils", "size"), [(1, (16, 16)), (3, (5, 16)), (32, (17, 31)), (2, (4, 4))])
def test_small_and_odd_matrices_and_any_number_of_coils_have_maps(n_coils, size):
    image = maps_of(*np.moveaxis(grid(*size), -1, 0), n_coils) * anatomy(*size)
    found = smooth_maps(centred_fft(image).astype(np.complex64), grid(*size), size)
    assert found.maps.shape == (n_coils, *size)
    np.testing.assert_allclose(np.linalg.norm(found.maps, axis=0), 1, rtol=1e-4)
    assert found.residual < 0.2


def test_without_signal_maps_are_constant_and_say_so():
    found = smooth_maps(np.zeros((3, 16, 12), np.complex64), grid(16, 12), (16, 12))
    assert "no signal" in found.method
    np.testing.assert_allclose(np.linalg.norm(found.maps, axis=0), 1, rtol=1e-4)


def test_the_time_average_is_the_mean_where_there_are_samples_and_says_where():
    kspace, trajectory = random_complex(2, 12, 15), grid(12, 15)
    kept = np.arange(12) != 7
    repeated = np.concatenate([kspace[:, kept], 3 * kspace[:, :4]], 1)
    found, measured = time_average(repeated, np.concatenate([trajectory[kept], trajectory[:4]]), (12, 15))
    expected = kspace * kept[:, None]
    expected[:, :4] *= 2
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_array_equal(measured, np.repeat(kept[:, None], 15, 1))


def test_the_time_average_reaches_no_farther_than_the_samples():
    kspace = random_complex(2, 12, 15)
    found, measured = time_average(kspace, grid(12, 15) / 3, (36, 45))
    np.testing.assert_allclose(found, kspace)
    assert measured.all()
