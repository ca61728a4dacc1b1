"""Masks keep what they keep, in the places it was measured, and the full images become the reference."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.io.scans.formats import read
from dainr.prepare.undersample import undersample
from dainr.prepare.whiten import noise_covariance
from dainr.scan import SET_ASIDE, Scan
from tests.io.scans.test_matlab import FRAMES, NX, NY, SLICES, check, cmrxrecon, series, write

RANDOM = np.random.default_rng(1)


@pytest.fixture
def full(tmp_path: Path) -> Scan:
    """A fully sampled stack."""
    return read(write(tmp_path / "cine_sax.mat", "7.3", kspace_full=cmrxrecon(series(), undersampled=False)))


def lines() -> np.ndarray:
    """A mask of whole lines, others in every frame and of different number."""
    kept = RANDOM.random((1, NY, FRAMES)) < 0.4
    kept[:, 0] = True
    return np.broadcast_to(kept, (NX, NY, FRAMES))


def test_whole_lines_stay_lines(full: Scan) -> None:
    mask = lines()
    scan = undersample(full, mask)
    assert scan.readouts_per_frame.tolist() == [mask[0].sum(0).tolist()] * SLICES
    assert (scan.n_samples, scan.matrix) == (NX, (NY, NX))
    check(scan, series())


def test_single_samples_become_readouts(full: Scan) -> None:
    mask = RANDOM.random((NX, NY, FRAMES)) < 0.3
    scan = undersample(full, mask)
    assert scan.n_samples == 1
    assert scan.readouts_per_frame.tolist() == [mask.sum((0, 1)).tolist()] * SLICES
    check(scan, series())


def test_a_mask_of_one_frame_serves_all(full: Scan) -> None:
    mask = lines()[..., :1]
    scan = undersample(full, mask)
    assert scan.readouts_per_frame.tolist() == [[int(mask[0].sum())] * FRAMES] * SLICES
    check(scan, series())


def test_readouts_set_aside_stay_so(full: Scan) -> None:
    assert full.frame is not None
    frame = full.frame.copy()
    frame[0, :3] = SET_ASIDE
    scan = undersample(replace(full, frame=frame), np.ones((NX, NY, 1), bool))
    assert scan.readouts_per_frame.tolist() == [[NY - 3, NY, NY, NY], [NY] * FRAMES]
    check(scan, series())
    assert scan.reference is None


def test_the_images_of_a_full_scan_are_its_reference(full: Scan) -> None:
    scan = undersample(full, lines())
    assert scan.reference is not None and scan.reference.shape == (SLICES, FRAMES, NY, NX)
    for index, images in enumerate(series()):
        covariance, _ = noise_covariance(full.kspace[index], full.trajectory[index], None, full.matrix)
        white = np.tensordot(np.linalg.inv(np.linalg.cholesky(covariance)), images.swapaxes(0, 1), axes=1)
        np.testing.assert_allclose(scan.reference[index], np.sqrt((np.abs(white) ** 2).sum(0)), rtol=1e-3)


def test_a_reference_that_is_there_stays(full: Scan) -> None:
    once = undersample(full, lines())
    again = undersample(once, np.ones((NX, NY, 1), bool))
    np.testing.assert_array_equal(again.reference, once.reference)


@pytest.mark.parametrize("shape", [(NY, NX, 1), (NX, NY, FRAMES + 1)])
def test_a_mask_of_another_scan_is_refused(full: Scan, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadRequest, match=r"\(x, y, frame\), the scan 12 x 10 x 4"):
        undersample(full, np.ones(shape, bool))


def test_no_mask_fits_spokes(radial_scan: Scan) -> None:
    with pytest.raises(BadRequest, match="not Cartesian"):
        undersample(radial_scan, np.ones((32, 32, 1), bool))
