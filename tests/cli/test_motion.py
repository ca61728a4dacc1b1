"""`dainr motion`: files of displacements, and what is refused."""

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest

from dainr.motion import determinant
from dainr.runs.run import load_run

from . import GRIDDING, assert_one_error, invoke, succeed
from .conftest import FinishedRun


def test_npy_is_the_motion_of_the_run_in_mm(finished: FinishedRun, tmp_path: Path) -> None:
    result = succeed("motion", finished.folder, tmp_path / "motion.npy", "--from", 0)
    found = np.load(tmp_path / "motion.npy")
    recon = load_run(finished.folder)
    expected = recon.displacement(reference=float(recon.cine.times[0]))
    np.testing.assert_array_equal(found, expected.mm)
    assert found.shape == (1, 6, 2, 32, 32) and found.dtype == np.float32
    assert result.stdout == "" and "from frame 0 to 1 slice, 6 frames of 32 x 32" in result.stderr
    assert "it folds" in result.stderr


def test_nifti_is_a_vector_field_of_five_dimensions(finished: FinishedRun, tmp_path: Path) -> None:
    succeed("motion", finished.folder, tmp_path / "motion.nii.gz", "--frames", 3, "--matrix", "48")
    image = nibabel.load(tmp_path / "motion.nii.gz")
    assert image.shape == (48, 48, 1, 3, 3)
    assert int(image.header["intent_code"]) == 1007
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert np.abs(np.asarray(image.dataobj)[..., 2]).max() == 0  # nothing through the plane


def test_h5_says_what_it_holds(finished: FinishedRun, tmp_path: Path) -> None:
    succeed("motion", finished.folder, tmp_path / "motion.h5", "--eulerian", "--to", 2)
    with h5py.File(tmp_path / "motion.h5") as file:
        assert file.attrs["kind"] == "eulerian" and file.attrs["reference"] == "canonical"
        pixels = file["displacement"][()] / 10
        np.testing.assert_allclose(file["jacobian"][()], determinant(pixels), atol=1e-5)
        assert file["times"].shape == (1,) and file["found"][()].all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--from", 6), "--from 6: there is no such frame; choose 0 to 5, or canonical"),
        (("--to", "x"), "--to x: there is no such frame; choose 0 to 5, or all"),
        (("--to", 1, "--frames", 3), "each says where the motion leads"),
        (("--matrix", "0"), "not an image size"),
    ],
)
def test_what_is_not_there_is_refused(
    finished: FinishedRun, tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    result = invoke("motion", finished.folder, tmp_path / "motion.npy", *options)
    assert_one_error(result, 2)
    assert words in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_other_files_and_existing_ones_are_refused(finished: FinishedRun, tmp_path: Path) -> None:
    assert_one_error(invoke("motion", finished.folder, tmp_path / "motion.gif"), 2)
    (tmp_path / "motion.npy").write_text("mine")
    assert_one_error(invoke("motion", finished.folder, tmp_path / "motion.npy"), 2)
    assert (tmp_path / "motion.npy").read_text() == "mine"


def test_a_method_without_a_deformation_says_so(finished: FinishedRun, tmp_path: Path) -> None:
    succeed("fit", finished.scan, "-o", tmp_path / "run", *GRIDDING)
    result = invoke("motion", tmp_path / "run", tmp_path / "motion.npy")
    assert_one_error(result, 2)
    assert "method gridding fitted no deformation; fit the scan with --method dainr" in result.stderr
