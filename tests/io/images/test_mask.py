"""Labels drawn elsewhere are read onto the pixels of a cine, whatever their matrix and orientation."""

import logging
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.images.mask import read_mask

CINE = Cine(np.zeros((2, 5, 12, 16), np.complex64), np.arange(5.0), (24.0, 16.0), 8.0, np.diag([1.0, 2.0, 8.0, 1.0]))


def write(path: Path, labels: np.ndarray, affine: np.ndarray) -> Path:
    nibabel.nifti1.Nifti1Image(labels, affine).to_filename(path)
    return path


def drawn(dtype: type = np.uint8) -> np.ndarray:
    """Label 1 in slice 0, label 4 in slice 1; axes x, y, slice."""
    labels = np.zeros((16, 12, 2), dtype)
    labels[3:6, 4:9, 0] = 1
    labels[10, 2, 1] = 4
    return labels


def test_the_same_pixels(tmp_path: Path) -> None:
    shares, numbers = read_mask(write(tmp_path / "mask.nii.gz", drawn(), CINE.affine), CINE, 0)
    assert numbers.tolist() == [1, 4] and shares.shape == (2, 2, 12, 16)
    np.testing.assert_array_equal(shares[0, 0].T, drawn()[..., 0])
    assert shares[1, 1, 2, 10] == 1 and shares[1].sum() == 1


def test_another_orientation_and_a_finer_matrix(tmp_path: Path) -> None:
    fine = drawn().repeat(3, 0).repeat(3, 1)[::-1].transpose(1, 0, 2)  # axes y, -x
    affine = np.zeros((4, 4))
    affine[1, 0], affine[0, 1], affine[2, 2], affine[3, 3] = 2 / 3, -1 / 3, 8, 1
    affine[:3, 3] = [15 + 1 / 3, -2 / 3, 0]
    shares, _ = read_mask(write(tmp_path / "mask.nii", fine, affine), CINE, 0)
    np.testing.assert_allclose(shares[0, 0].T, drawn()[..., 0], atol=1e-6)


def test_a_pixel_that_a_label_takes_in_part(tmp_path: Path) -> None:
    affine = CINE.affine.copy()
    affine[0, 3] = 0.5
    shares, _ = read_mask(write(tmp_path / "mask.nii", drawn(), affine), CINE, 0)
    assert shares[0, 0, 5, 3] == pytest.approx(0.5) and shares[0, 0, 5, 4] == 1


def test_of_a_series_the_frame_is_read_and_floats_that_are_whole_will_do(tmp_path: Path) -> None:
    series = np.zeros((16, 12, 2, 5), np.float32)
    series[..., 3] = drawn()
    path = write(tmp_path / "mask.nii", series, CINE.affine)
    assert read_mask(path, CINE, 3)[1].tolist() == [1, 4]
    with pytest.raises(BadScan, match="holds no label in frame 2"):
        read_mask(path, CINE, 2)


def test_a_label_outside_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    labels = np.zeros((30, 12, 2), np.uint8)
    labels[:16] = drawn()
    labels[25, 5, 0] = 9
    with caplog.at_level(logging.WARNING):
        read_mask(write(tmp_path / "mask.nii", labels, CINE.affine), CINE, 0)
    assert "nothing of label 9 lies in the images" in caplog.text


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (drawn() * 0, "holds no label"),
        (drawn(np.float32) + 0.5, "whole numbers"),
        (-drawn(np.int16), "whole numbers"),
        (np.arange(16 * 12 * 2, dtype=np.int16).reshape(16, 12, 2), "more than 100 labels"),
        (np.zeros((16, 12, 2, 7), np.uint8), "16 x 12 x 2 x 7"),
    ],
)
def test_what_is_no_drawing_is_refused(tmp_path: Path, labels: np.ndarray, words: str) -> None:
    with pytest.raises(BadScan, match=words):
        read_mask(write(tmp_path / "mask.nii", labels, CINE.affine), CINE, 0)


def test_labels_beside_the_images_and_files_that_are_none_are_refused(tmp_path: Path) -> None:
    away = CINE.affine.copy()
    away[2, 3] = 100
    with pytest.raises(BadScan, match="no label lies in the images"):
        read_mask(write(tmp_path / "mask.nii", drawn(), away), CINE, 0)
    (tmp_path / "other.nii").write_text("no NIfTI")
    for name in ("other.nii", "none.nii"):
        with pytest.raises(BadScan, match=r"no NIfTI file|no such file"):
            read_mask(tmp_path / name, CINE, 0)
