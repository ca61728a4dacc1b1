from pathlib import Path

import h5py
import numpy as np
import pytest

from dainr.io import load
from dainr.scan import Scan
from tests.io.scans.test_matlab import FRAMES, NX, NY, SLICES, cmrxrecon, series, write

from . import assert_one_error, invoke, succeed


@pytest.mark.parametrize("name", ["radial.mrd", "radial_copy.h5"])
def test_a_converted_scan_holds_the_same_samples(
    radial_file: Path, radial_scan: Scan, tmp_path: Path, name: str
) -> None:
    result = succeed("convert", radial_file, tmp_path / name)
    assert result.stdout == ""
    assert name in result.stderr
    scan = load(tmp_path / name)
    np.testing.assert_allclose(scan.kspace, radial_scan.kspace, rtol=1e-6)
    np.testing.assert_allclose(scan.trajectory, radial_scan.trajectory, atol=1e-6)
    assert (scan.matrix, scan.n_frames) == (radial_scan.matrix, radial_scan.n_frames)


def test_ismrmrd_goes_back_to_native(radial_file: Path, radial_scan: Scan, tmp_path: Path) -> None:
    succeed("convert", radial_file, tmp_path / "there.mrd")
    succeed("convert", tmp_path / "there.mrd", tmp_path / "back.h5")
    with h5py.File(tmp_path / "back.h5") as file:
        assert file.attrs["schema"] == "dainr-scan"
        np.testing.assert_allclose(file["kspace"][()], radial_scan.kspace, rtol=1e-6)


def test_the_format_may_be_named(radial_file: Path, tmp_path: Path) -> None:
    succeed("convert", radial_file, tmp_path / "scan.h5", "--to", "ismrmrd")
    with h5py.File(tmp_path / "scan.h5") as file:
        assert "dataset" in file


def test_an_existing_file_is_replaced_only_by_force(radial_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.h5"
    out.write_text("mine")
    assert_one_error(invoke("convert", radial_file, out), 2)
    assert out.read_text() == "mine"
    succeed("convert", radial_file, out, "--force")
    assert load(out).n_frames == 6


def test_a_mask_undersamples_and_keeps_the_images_of_all_lines(tmp_path: Path) -> None:
    full = write(tmp_path / "cine_sax.mat", "7.3", kspace_full=cmrxrecon(series(), undersampled=False))
    kept = np.zeros((NX, NY, FRAMES))
    kept[:, ::3] = 1
    mask = write(tmp_path / "cine_sax_mask.mat", "7.3", mask=kept)
    succeed("convert", full, tmp_path / "scan.h5", "--mask", mask)
    scan = load(tmp_path / "scan.h5")
    assert scan.readouts_per_frame.tolist() == [[4] * FRAMES] * SLICES
    assert scan.reference is not None and scan.reference.shape == (SLICES, FRAMES, NY, NX)
    alone = invoke("info", mask)
    assert_one_error(alone, 3)
    assert f"a sampling mask alone (mask, {NX} x {NY} x {FRAMES})" in alone.stderr and "--mask" in alone.stderr
    assert_one_error(invoke("convert", full, tmp_path / "other.h5", "--mask", full), 3)
    assert_one_error(invoke("convert", full, tmp_path / "other.h5", "--mask", tmp_path / "missing.npy"), 3)
    assert not (tmp_path / "other.h5").exists()


def test_what_cannot_be_converted_leaves_no_file(radial_file: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no scan")
    assert_one_error(invoke("convert", radial_file, tmp_path / "out.h5", "--to", "dicom"), 2)
    assert_one_error(invoke("convert", radial_file, tmp_path / "nowhere" / "out.h5"), 2)
    assert_one_error(invoke("convert", tmp_path / "notes.txt", tmp_path / "out.h5"), 3)
    assert_one_error(invoke("convert", tmp_path / "missing.h5", tmp_path / "out.h5"), 3)
    assert {path.name for path in tmp_path.iterdir()} == {"radial.h5", "notes.txt"}
