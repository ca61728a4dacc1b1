"""DICOM: the images of a cine, in their places and times, valid by the standard."""

import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from dainr.cine import Cine
from dainr.io.images.dicom import write_dicom
from dainr.io.images.nifti import write_nifti
from tests.io import AFFINE

SLICES, FRAMES, NY, NX = 2, 3, 12, 8


def make(affine: np.ndarray | None = AFFINE) -> Cine:
    """A cine in oblique slices."""
    random = np.random.default_rng(0)
    data = random.standard_normal((SLICES, FRAMES, NY, NX)) + 1j * random.standard_normal((SLICES, FRAMES, NY, NX))
    spacing = np.linalg.norm(AFFINE[:3, :3], axis=0)
    fov = float(spacing[1] * NY), float(spacing[0] * NX)
    return Cine(data.astype(np.complex64), np.array([0.02, 0.06, 0.1]), fov, 6.0, affine)


@pytest.fixture
def images(tmp_path: Path) -> list[pydicom.FileDataset]:
    """The images of an oblique cine, sorted by number."""
    write_dicom(make(), tmp_path / "dicom")
    return sorted((pydicom.dcmread(p) for p in (tmp_path / "dicom").iterdir()), key=lambda i: int(i.InstanceNumber))


def test_stored_values_and_rescale_give_the_magnitudes(images: list[pydicom.FileDataset]) -> None:
    magnitude = np.abs(make().data)
    assert len(images) == SLICES * FRAMES
    for image, expected in zip(images, magnitude.reshape(-1, NY, NX), strict=True):
        values = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
        np.testing.assert_allclose(values, expected, atol=0.51 * magnitude.max() / 4095)


def test_images_are_placed_where_nifti_places_them(images: list[pydicom.FileDataset], tmp_path: Path) -> None:
    write_nifti(make(), tmp_path / "cine.nii")
    to_ras = nibabel.loadsave.load(tmp_path / "cine.nii").affine
    for number, image in enumerate(images):
        along_x, along_y = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = (float(v) for v in image.PixelSpacing)
        for x, y in ((0, 0), (NX - 1, 0), (3, NY - 1)):
            left_posterior_head = (
                np.array(image.ImagePositionPatient, float) + x * between_columns * along_x + y * between_rows * along_y
            )
            expected = to_ras @ [x, y, number // FRAMES, 1]
            np.testing.assert_allclose(left_posterior_head * [-1, -1, 1], expected[:3], atol=1e-4)


def test_frames_follow_the_cycle(images: list[pydicom.FileDataset]) -> None:
    assert [float(i.TriggerTime) for i in images] == pytest.approx([0, 40, 80] * SLICES)
    assert {int(i.CardiacNumberOfImages) for i in images} == {FRAMES}
    assert [int(i.TemporalPositionIdentifier) for i in images] == [1, 2, 3] * SLICES
    assert [float(i.SpacingBetweenSlices) for i in images] == pytest.approx([np.linalg.norm(AFFINE[:3, 2])] * 6)
    assert {float(i.SliceThickness) for i in images} == {6}


def test_each_export_is_a_series_of_its_own_and_names_no_patient(
    images: list[pydicom.FileDataset], tmp_path: Path
) -> None:
    write_dicom(make(), tmp_path / "again_dicom")
    again = [pydicom.dcmread(p) for p in (tmp_path / "again_dicom").iterdir()]
    assert len({i.SeriesInstanceUID for i in images}) == 1
    assert len({i.SOPInstanceUID for i in [*images, *again]}) == 2 * SLICES * FRAMES
    assert images[0].SeriesInstanceUID != again[0].SeriesInstanceUID
    assert all(not i.PatientName and not i.PatientID and not i.PatientBirthDate for i in images)
    assert all(list(i.ImageType)[:2] == ["DERIVED", "SECONDARY"] for i in images)


@pytest.mark.parametrize("frames", [1, FRAMES])
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_an_independent_validator_finds_no_error(frames: int, tmp_path: Path) -> None:
    cine = make(None)
    write_dicom(Cine(cine.data[:, :frames], cine.times[:frames], cine.fov_mm, 6.0), tmp_path / "dicom")
    for path in (tmp_path / "dicom").iterdir():
        found = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        assert "Error" not in found.stderr, found.stderr


def test_an_image_without_signal_is_written(tmp_path: Path) -> None:
    write_dicom(Cine(np.zeros((1, 1, NY, NX), np.complex64), np.zeros(1), (12.0, 8.0), 6.0), tmp_path / "dicom")
    assert not pydicom.dcmread(next((tmp_path / "dicom").iterdir())).pixel_array.any()
