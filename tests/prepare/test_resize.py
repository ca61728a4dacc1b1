"""Another matrix shows the same object in the same place at another resolution."""

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.prepare.resize import resize_matrix
from dainr.scan import SET_ASIDE
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.io import AFFINE, exact_kspace, fft_image, random_complex, small_scan

FULL = SimulationConfig(pattern="uniform", acceleration=1, coils=2, frames=2, matrix=32, snr=500)


def world(affine, y, x):
    return affine @ [x, y, 0, 1]


@pytest.mark.parametrize("matrix", [(64, 64), (16, 24), (33, 17)])
def test_the_centre_and_the_field_of_view_stay_where_they_are(matrix):
    trajectory = np.zeros((2, 6, 10, 2), np.float32)
    scan = small_scan(trajectory=trajectory)
    resized = resize_matrix(scan, matrix)
    assert (resized.matrix, resized.fov_mm) == (matrix, scan.fov_mm)
    before, after = world(AFFINE, 4, 6), world(resized.affine, matrix[0] // 2, matrix[1] // 2)
    np.testing.assert_allclose(after, before)
    for old, new, column in ((12, matrix[1], 0), (8, matrix[0], 1)):
        np.testing.assert_allclose(resized.affine[:, column] * new, AFFINE[:, column] * old)
    np.testing.assert_array_equal(resized.affine[:, 2], AFFINE[:, 2])
    assert resized.coil_maps is None
    assert f"matrix {matrix[0]} x {matrix[1]}" in resized.notes[-1]


def test_a_finer_matrix_keeps_every_sample_at_its_frequency(radial_scan):
    finer = resize_matrix(radial_scan, (48, 64))
    np.testing.assert_array_equal(finer.kspace, radial_scan.kspace)
    np.testing.assert_allclose(finer.trajectory * [48, 64], radial_scan.trajectory * 32, atol=1e-5)
    np.testing.assert_array_equal(finer.frame, radial_scan.frame)


def test_a_coarser_matrix_keeps_the_samples_it_can_hold(radial_scan):
    coarser = resize_matrix(radial_scan, (20, 20))
    assert np.abs(coarser.trajectory).max() <= 0.5
    assert np.hypot(*coarser.trajectory[0].T).max() == pytest.approx(0.5, abs=0.03)
    assert coarser.n_readouts == radial_scan.n_readouts
    first = (radial_scan.n_samples - coarser.n_samples) // 2
    offsets = [i for i in range(first - 1, first + 2) if i >= 0]
    assert any(np.array_equal(coarser.kspace, radial_scan.kspace[..., i : i + coarser.n_samples]) for i in offsets)


def test_half_the_matrix_of_a_cartesian_scan_is_a_full_grid_of_half_the_lines():
    scan = simulate_phantom(FULL)
    coarse = resize_matrix(scan, (16, 16))
    assert coarse.is_cartesian
    assert coarse.trajectory.min() == -0.5
    assert coarse.trajectory.max() < 0.5
    fine, half = fft_image(scan, frame=0), fft_image(coarse, frame=0)  # the grid is filled once everywhere
    blocks = fine.reshape(2, 16, 2, 16, 2).mean((2, 4))
    assert np.corrcoef(np.abs(blocks).ravel(), np.abs(half).ravel())[0, 1] > 0.9


def test_a_point_source_stays_at_its_place_in_the_field_of_view():
    k = np.random.default_rng(0).uniform(-0.2, 0.2, (6, 10, 2))
    source, resized_source = np.zeros((3, 8, 12)), np.zeros((3, 16, 24))
    source[:, 4 + 1, 6 - 2] = 1
    resized_source[:, 8 + 2, 12 - 4] = 1
    kspace = exact_kspace(source, k).astype(np.complex64)[None].repeat(2, 0)
    scan = small_scan(kspace=kspace, trajectory=k.astype(np.float32)[None].repeat(2, 0))
    resized = resize_matrix(scan, (16, 24))
    expected = exact_kspace(resized_source, resized.trajectory[0].astype(np.float64))
    np.testing.assert_allclose(resized.kspace[0] / expected, (resized.kspace[0] / expected)[0, 0, 0], rtol=1e-4)


def test_the_same_matrix_changes_nothing():
    scan = small_scan()
    assert resize_matrix(scan, (8, 12)) is scan


@pytest.mark.parametrize("matrix", [(3, 16), (16, 5000), (-8, 8)])
def test_a_matrix_that_is_no_image_is_refused(matrix):
    with pytest.raises(BadRequest, match="--matrix"):
        resize_matrix(small_scan(), matrix)


def test_a_matrix_that_keeps_no_samples_is_refused():
    outside = np.full((2, 6, 10, 2), 0.45, np.float32)
    scan = small_scan(trajectory=outside, matrix=(32, 32), coil_maps=random_complex(2, 3, 32, 32))
    with pytest.raises(BadRequest, match="--matrix 8x8: no samples lie within its resolution"):
        resize_matrix(scan, (8, 8))


def test_slices_keep_lines_of_their_own():
    images = random_complex(2, 3, 16, 12)  # slice, coil
    lines = [np.arange(16), np.array([3, 4, 5, 6, 8, 9, 15])]
    kspace, trajectory = np.zeros((2, 3, 16, 12), np.complex64), np.zeros((2, 16, 12, 2), np.float32)
    frame = np.full((2, 16), SET_ASIDE, np.int32)
    for index, mine in enumerate(lines):
        k = np.stack(np.broadcast_arrays(((mine - 8) / 16)[:, None], ((np.arange(12) - 6) / 12)[None]), -1)
        kspace[index, :, : len(mine)] = exact_kspace(images[index], k)
        trajectory[index, : len(mine)], frame[index, : len(mine)] = k, 0
    parts = {"kspace": kspace, "trajectory": trajectory, "times": np.zeros((2, 16)), "frame": frame}
    scan = small_scan(**parts, matrix=(16, 12), phase=None, coil_maps=None, reference=None)
    small = resize_matrix(scan, (8, 12))
    assert small.used.sum(1).tolist() == [8, 5]
    for index, mine in enumerate(lines):
        inside = (mine >= 4) & (mine < 12)
        used = small.used[index]
        np.testing.assert_array_equal(small.kspace[index][:, used], kspace[index][:, : len(mine)][:, inside])
        np.testing.assert_allclose(small.trajectory[index][used, 0, 0] * 8, mine[inside] - 8, atol=1e-6)
