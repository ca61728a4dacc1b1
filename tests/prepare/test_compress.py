"""Virtual coils hold the signal, their noise stays white."""

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.prepare.compress import combine_coils, compression_matrix
from tests.io import random_complex

SOURCES = random_complex(3, 20, 30) * np.array([3, 2, 1], np.float32)[:, None, None]
KSPACE = np.tensordot(random_complex(6, 3, seed=1), SOURCES, 1).astype(np.complex64)  # six coils, three directions


@pytest.mark.parametrize("n_virtual", [1, 2, 6])
def test_virtual_coils_are_orthonormal_so_that_noise_stays_white(n_virtual):
    matrix, _ = compression_matrix(random_complex(6, 20, 30), n_virtual)
    assert matrix.shape == (n_virtual, 6)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(n_virtual), atol=1e-5)


def test_as_many_virtual_coils_as_directions_lose_nothing():
    matrix, kept = compression_matrix(KSPACE, 3)
    assert kept == pytest.approx(1, abs=1e-6)
    back = np.tensordot(matrix.conj().T, combine_coils(matrix, KSPACE), 1)
    np.testing.assert_allclose(back, KSPACE, atol=1e-4)


@pytest.mark.parametrize("n_virtual", [1, 2])
def test_the_energy_kept_is_the_best_possible_and_as_reported(n_virtual):
    matrix, kept = compression_matrix(KSPACE, n_virtual)
    energy = np.linalg.norm(combine_coils(matrix, KSPACE)) ** 2 / np.linalg.norm(KSPACE) ** 2
    singular = np.linalg.svd(KSPACE.reshape(6, -1), compute_uv=False) ** 2
    assert kept == pytest.approx(energy, rel=1e-4)
    assert kept == pytest.approx(singular[:n_virtual].sum() / singular.sum(), rel=1e-4)


def test_data_and_maps_are_combined_alike():
    maps, image = random_complex(6, 5, 4), random_complex(5, 4, seed=2)
    matrix, _ = compression_matrix(KSPACE, 2)
    combined = combine_coils(matrix, maps * image)
    assert combined.dtype == np.complex64
    np.testing.assert_allclose(combined, combine_coils(matrix, maps) * image, atol=1e-5)


def test_more_virtual_coils_than_coils_are_refused():
    with pytest.raises(BadRequest, match=r"virtual_coils=7: the scan has only 6 coils; choose at most 6, or 0"):
        compression_matrix(KSPACE, 7)


@pytest.mark.parametrize(("loss", "n_virtual"), [(0.0, 3), (1e-6, 3), (0.05, 2), (0.25, 1)])
def test_as_few_coils_as_the_loss_allows_and_noise_is_not_signal(loss, n_virtual):
    directions = np.linalg.qr(random_complex(6, 6, seed=1))[0][:, :3]  # their signals' energies are as 100 : 20 : 5
    sources = 30 * np.linalg.qr(random_complex(600, 3, seed=2))[0].T * np.sqrt([[100], [20], [5]])
    noise = np.linalg.qr(random_complex(600, 9, seed=2))[0].T[3:] * np.sqrt(600)  # of unit variance, across the signal
    matrix, _ = compression_matrix((directions @ sources + noise).reshape(6, 20, 30).astype(np.complex64), 0, loss)
    assert len(matrix) == n_virtual


def test_silence_keeps_a_coil():
    assert compression_matrix(np.zeros((3, 4, 5), np.complex64), 0, 1e-3)[0].shape == (1, 3)
