"""A stack of ten oblique slices in one command: NIfTI and DICOM lie where the scan lay, slice by slice."""

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from dainr.io.scans import native
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.helper import repeated

from . import succeed

N_SLICES = 10
RAS = np.array([-1.0, -1.0, 1.0])  # from DICOM's frame of the patient


@pytest.fixture(scope="module")
def stack() -> Scan:
    """Slices that get brighter along the stack, each 32 x 32, turned about all three axes."""
    one = simulate_phantom(SimulationConfig(matrix=32, frames=3, spokes=21, coils=2))
    brightness = np.arange(1, N_SLICES + 1, dtype=np.float32)[:, None, None, None]
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag([10, 10, 12.0])
    affine[:3, 3] = -80, 30, 55
    stack = repeated(replace(one, reference=None, noise=None), N_SLICES)
    return replace(stack, kspace=stack.kspace * brightness, affine=affine)


def test_nifti_and_dicom_of_a_stack_lie_where_the_scan_lay(stack: Scan, tmp_path: Path) -> None:
    native.write(stack, tmp_path / "stack.h5")
    succeed("fit", tmp_path / "stack.h5", "-o", tmp_path / "run", "--method", "gridding", "-q")
    succeed("export", tmp_path / "run", tmp_path / "cine.nii.gz")
    succeed("export", tmp_path / "run", tmp_path / "cine_dicom")
    image = nibabel.loadsave.load(tmp_path / "cine.nii.gz")
    voxels = np.asarray(image.dataobj)
    assert voxels.shape == (32, 32, N_SLICES, 3)
    assert stack.affine is not None
    np.testing.assert_allclose(image.affine, stack.affine, atol=1e-4)
    assert image.header.get_zooms()[2] == pytest.approx(12)
    files = [pydicom.dcmread(path) for path in (tmp_path / "cine_dicom").iterdir()]
    assert len(files) == N_SLICES * 3
    centres = stack.affine @ np.array([[0, 0, s, 1] for s in range(N_SLICES)]).T
    for file in files:
        corner = np.array(file.ImagePositionPatient) * RAS
        index = int(np.argmin(np.linalg.norm(centres[:3].T - corner, axis=1)))
        np.testing.assert_allclose(corner, centres[:3, index], atol=1e-2)
        across, down = np.array(file.ImageOrientationPatient).reshape(2, 3) * RAS
        np.testing.assert_allclose(across * file.PixelSpacing[1], stack.affine[:3, 0], atol=1e-3)
        np.testing.assert_allclose(down * file.PixelSpacing[0], stack.affine[:3, 1], atol=1e-3)
        pixels = file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept)
        frame = voxels[:, :, index, round((float(file.TriggerTime)) / 1e3 / image.header.get_zooms()[3])]
        np.testing.assert_allclose(pixels, frame.T, atol=voxels.max() / 2000)
