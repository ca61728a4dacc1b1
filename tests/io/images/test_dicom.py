"""DICOM: the images of a cine, in their places and times, valid by the standard."""

import importlib.util
import logging
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.images.dicom import DicomOptions, write_dicom
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
    assert {(float(i.FrameTime), float(i.RepetitionTime), float(i.TemporalResolution)) for i in images} == {
        (40, 40, 40)
    }
    assert {(int(i.CineRate), int(i.RecommendedDisplayFrameRate)) for i in images} == {(25, 25)}
    assert [int(i.InstanceNumber) for i in images] == [1, 2, 3, 4, 5, 6]


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


def test_frames_in_real_time_are_not_gated_and_keep_their_pace(tmp_path: Path) -> None:
    write_dicom(replace(make(), cyclic=False), tmp_path / "dicom")
    for path in (tmp_path / "dicom").iterdir():
        image = pydicom.dcmread(path)
        assert not image.ScanOptions and "TriggerTime" not in image and "NominalInterval" not in image
        assert float(image.FrameTime) == 40 and int(image.NumberOfTemporalPositions) == FRAMES


def test_each_slice_can_be_a_series_of_its_own(tmp_path: Path) -> None:
    write_dicom(make(), tmp_path / "dicom", DicomOptions(one_series_per_slice=True))
    images = [pydicom.dcmread(p) for p in sorted((tmp_path / "dicom").iterdir())]
    assert [int(i.SeriesNumber) for i in images] == [1, 1, 1, 2, 2, 2]
    assert [int(i.InstanceNumber) for i in images] == [1, 2, 3, 1, 2, 3]
    assert [len({getattr(i, name) for i in images}) for name in ("SeriesInstanceUID", "StudyInstanceUID")] == [2, 1]
    assert images[-1].SeriesDescription == "dainr cine, slice 1"


@pytest.fixture
def scanner_image(tmp_path: Path) -> Path:
    """An image as a scanner has it, of a named patient."""
    write_dicom(make(), tmp_path / "scanner_dicom")
    image = pydicom.dcmread(next((tmp_path / "scanner_dicom").iterdir()))
    image.SpecificCharacterSet, image.PatientName, image.PatientID = "ISO_IR 100", "Müller^Ännchen", "4711"
    image.PatientPosition, image.StudyID, image.Manufacturer, image.StudyDate = "HFS", "2", "a vendor", "20260101"
    image.save_as(tmp_path / "scanner.dcm")
    return tmp_path / "scanner.dcm"


def test_patient_study_and_place_come_from_an_image_of_the_scanner(
    scanner_image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        write_dicom(make(), tmp_path / "dicom", DicomOptions(like=scanner_image))
    theirs, mine = pydicom.dcmread(scanner_image), pydicom.dcmread(next((tmp_path / "dicom").iterdir()))
    same = ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID", "PatientPosition")
    assert all(mine[name].value == theirs[name].value for name in same)
    assert mine.PatientName.family_name == "Müller"
    assert mine.SeriesInstanceUID != theirs.SeriesInstanceUID and not mine.Manufacturer
    assert "the images hold patient data" in caplog.text


def test_images_whose_place_is_not_known_get_no_frame_of_reference(
    scanner_image: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_dicom(make(None), tmp_path / "dicom", DicomOptions(like=scanner_image))
    theirs, mine = pydicom.dcmread(scanner_image), pydicom.dcmread(next((tmp_path / "dicom").iterdir()))
    assert mine.PatientID == "4711" and mine.FrameOfReferenceUID != theirs.FrameOfReferenceUID
    assert "frame of reference" in caplog.text


@pytest.mark.parametrize(("content", "why"), [(None, "no such file"), (b"no image" * 40, "it is no DICOM image")])
def test_what_is_no_image_of_a_scanner_is_refused(content: bytes | None, why: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "scanner.dcm").write_bytes(content)
    with pytest.raises(BadScan, match=why):
        write_dicom(make(), tmp_path / "dicom", DicomOptions(like=tmp_path / "scanner.dcm"))
    assert not (tmp_path / "dicom").exists()


def orthogonal() -> Cine:
    """A cine in oblique slices with right angles between its axes, as a converter can keep them."""
    directions = np.linalg.qr(AFFINE[:3, :3])[0] @ np.diag([1.5, 1.4, 9.0])
    affine = np.vstack([np.column_stack([directions, AFFINE[:3, 3]]), [0, 0, 0, 1]])
    return replace(make(affine), fov_mm=(1.4 * NY, 1.5 * NX))


@pytest.mark.skipif(importlib.util.find_spec("dcm2niix") is None, reason="dcm2niix is not installed")
@pytest.mark.parametrize(("like", "cyclic"), [(False, None), (True, True), (False, False)])
def test_an_independent_converter_makes_the_same_nifti(
    scanner_image: Path, tmp_path: Path, like: bool, cyclic: bool | None
) -> None:
    import dcm2niix

    write_dicom(
        replace(orthogonal(), cyclic=cyclic), tmp_path / "dicom", DicomOptions(like=scanner_image if like else None)
    )
    write_nifti(orthogonal(), tmp_path / "mine.nii")
    (tmp_path / "out").mkdir()
    command = [dcm2niix.bin, "-f", "theirs", "-o", tmp_path / "out", tmp_path / "dicom"]
    subprocess.run(command, capture_output=True, check=True)
    mine = nibabel.loadsave.load(tmp_path / "mine.nii")
    theirs = nibabel.loadsave.load(tmp_path / "out" / "theirs.nii")
    assert theirs.shape == mine.shape == (NX, NY, SLICES, FRAMES)
    np.testing.assert_allclose(theirs.header.get_zooms(), mine.header.get_zooms(), rtol=1e-5)
    index = np.stack([*np.indices(mine.shape[:3]).reshape(3, -1), np.ones(NX * NY * SLICES)])
    there = np.linalg.inv(theirs.affine) @ mine.affine @ index  # it turns the rows round
    np.testing.assert_allclose(there, np.rint(there), atol=1e-3)
    x, y, z = np.rint(there[:3]).astype(int)
    expected = mine.get_fdata().reshape(-1, FRAMES)
    np.testing.assert_allclose(theirs.get_fdata()[x, y, z], expected, atol=0.51 * expected.max() / 4095)


@pytest.mark.parametrize("frames", [1, FRAMES])
@pytest.mark.parametrize("like", [False, True])
@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_an_independent_validator_finds_no_error(frames: int, like: bool, scanner_image: Path, tmp_path: Path) -> None:
    cine = orthogonal()
    cine = replace(cine, data=cine.data[:, :frames], times=cine.times[:frames], cyclic=not like)
    write_dicom(cine, tmp_path / "dicom", DicomOptions(like=scanner_image if like else None))
    for path in (tmp_path / "dicom").iterdir():
        found = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
        assert "Error" not in found.stderr, found.stderr


def test_an_image_without_signal_is_written(tmp_path: Path) -> None:
    write_dicom(Cine(np.zeros((1, 1, NY, NX), np.complex64), np.zeros(1), (12.0, 8.0), 6.0), tmp_path / "dicom")
    assert not pydicom.dcmread(next((tmp_path / "dicom").iterdir())).pixel_array.any()
