"""A displacement field written as NIfTI is what SimpleITK takes it for: it warps images as we do."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as itk

from dainr.cine import Cine
from dainr.io.images.displacement import write_displacement
from dainr.io.images.nifti import write_nifti
from dainr.motion import Motion, seen


def turned() -> np.ndarray:
    """An oblique stack."""
    columns, rows = np.linalg.qr(np.array([[0.2, -1.0], [-0.9, 0.1], [0.3, 0.4]]))[0].T
    affine = np.eye(4)
    affine[:3] = np.stack([1.5 * columns, 2.0 * rows, 6.0 * np.cross(columns, rows), [10, -20, 5]], 1)
    return affine


def motion(affine: np.ndarray | None, n_frames: int = 2) -> Motion:
    """Smooth motion of two slices, different along x and y."""
    ny, nx = 30, 24
    y, x = np.meshgrid(np.arange(ny), np.arange(nx), indexing="ij")
    wave = np.stack([2.0 * np.sin(y / 6) + 1, -1.5 * np.cos(x / 5)])
    growing = (np.arange(1, n_frames + 1) / n_frames)[None, :, None, None, None] * np.array([1, -0.5])[
        :, None, None, None, None
    ]
    displacement = (growing * wave).astype(np.float32)
    found = np.ones((2, n_frames, ny, nx), bool)
    return Motion(displacement, found, "eulerian", 0.0, 0.1 * np.arange(n_frames), (60.0, 36.0), 6.0, affine)


@pytest.mark.parametrize("n_frames", [1, 2])
@pytest.mark.parametrize("affine", [None, turned()], ids=["axial", "turned"])
def test_simpleitk_warps_by_it_as_we_do(tmp_path: Path, affine: np.ndarray | None, n_frames: int) -> None:
    found = motion(affine, n_frames)
    image = np.random.default_rng(0).random((2, n_frames, 30, 24))
    write_nifti(Cine(image.astype(np.complex64), found.times, found.fov_mm, 6.0, affine), tmp_path / "image.nii.gz")
    write_displacement(found, tmp_path / "motion.nii.gz")

    field = itk.ReadImage(str(tmp_path / "motion.nii.gz"), itk.sitkVectorFloat64)
    series = itk.ReadImage(str(tmp_path / "image.nii.gz"), itk.sitkFloat64)
    if n_frames > 1:  # of one frame they have three dimensions
        series, field = series[..., 0], field[..., n_frames - 1]
    assert field.GetNumberOfComponentsPerPixel() == 3 and field.GetDimension() == 3
    warp = itk.DisplacementFieldTransform(field)
    warped = itk.GetArrayFromImage(itk.Resample(series, series, warp, itk.sitkLinear, 0.0))
    for index in (0, 1):
        expected = seen(image[index, 0].astype(np.float32), found.displacement[index, -1])
        np.testing.assert_allclose(warped[index][4:-4, 5:-5], expected[4:-4, 5:-5], atol=2e-3)


def test_simpleitk_reads_all_frames_of_it(tmp_path: Path) -> None:
    found = motion(None)
    write_displacement(found, tmp_path / "motion.nii")
    field = itk.ReadImage(str(tmp_path / "motion.nii"))
    assert field.GetSize() == (24, 30, 2, 2) and field.GetNumberOfComponentsPerPixel() == 3
    values = itk.GetArrayFromImage(field)  # frame slice y x 3; an axial image has x and y the other way round
    np.testing.assert_allclose(values[1, 0, ..., 0], found.mm[0, 1, 0], rtol=1e-5)
    np.testing.assert_allclose(values[1, 0, ..., 1], found.mm[0, 1, 1], rtol=1e-5)
    assert np.abs(values[..., 2]).max() == 0
