"""Which files of a folder are cases."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from dainr.cine import Cine
from dainr.errors import BadRequest
from dainr.export import export
from dainr.io.images.cine import write_cine
from dainr.io.images.displacement import write_displacement
from dainr.io.scans.native import write
from dainr.studies.batch.cases import find_cases
from dainr.studies.batch.index import Index, write_index
from tests.io import small_scan
from tests.io.images.test_displacement_file import motion


def names(folder: Path, out: str = "out") -> list[str]:
    return [case.name for case in find_cases(folder, folder / out)]


def write_cfl(path: Path) -> None:
    path.with_suffix(".hdr").write_text("# Dimensions\n1\n")
    path.with_suffix(".cfl").write_bytes(bytes(8))


def test_scans_are_found_by_content_whatever_their_name_in_folders_too(tmp_path: Path) -> None:
    (tmp_path / "ward").mkdir()
    write(small_scan(), tmp_path / "b.h5")
    write(small_scan(), tmp_path / "ward" / "a.raw")
    (tmp_path / "notes.txt").write_text("no scan")
    np.save(tmp_path / "b_reference.npy", np.zeros(3))
    assert names(tmp_path) == ["b", "ward_a"]


def test_files_that_ought_to_be_scans_are_cases_even_when_broken(tmp_path: Path) -> None:
    (tmp_path / "empty.h5").touch()
    (tmp_path / "short.mrd").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "text.mat").write_text("nothing")
    assert names(tmp_path) == ["empty", "short", "text"]


def test_reconstructions_hidden_files_and_the_results_are_none(tmp_path: Path) -> None:
    write(small_scan(), tmp_path / "scan.h5")
    write(small_scan(), tmp_path / ".hidden.h5")
    for place in ("out", "other"):
        (tmp_path / place).mkdir()
        cine = Cine(np.ones((1, 1, 4, 4), np.complex64), np.zeros(1), (4.0, 4.0), 1.0)
        write_cine(cine, tmp_path / place / "cine.h5")
    write(small_scan(), tmp_path / "out" / "copy.h5")
    assert names(tmp_path) == ["scan"]


def test_a_file_of_motion_is_none(tmp_path: Path) -> None:
    write(small_scan(), tmp_path / "scan.h5")
    write_displacement(motion(None), tmp_path / "motion.h5")
    assert names(tmp_path) == ["scan"]


def test_what_goes_with_a_kspace_of_bart_is_no_case(tmp_path: Path) -> None:
    for name in ("one", "one_traj", "one_sens", "kspace_two", "traj_two", "alone_traj"):
        write_cfl(tmp_path / name)
    assert names(tmp_path) == ["alone_traj", "kspace_two", "one"]


def test_names_are_told_apart(tmp_path: Path) -> None:
    write(small_scan(), tmp_path / "scan.h5")
    write(small_scan(), tmp_path / "scan.mrd")
    assert names(tmp_path) == ["scan_h5", "scan_mrd"]


def test_images_that_dainr_wrote_are_none(tmp_path: Path) -> None:
    write(small_scan(), tmp_path / "scan.h5")
    cine = Cine(np.ones((1, 1, 4, 4), np.complex64), np.zeros(1), (4.0, 4.0), 1.0)
    for name in ("scan.mrd", "scan.cfl", "other.nii"):
        export(cine, tmp_path / name)
    assert names(tmp_path) == ["scan"]


def test_what_a_batch_wrote_is_none_also_where_the_scans_are(tmp_path: Path) -> None:
    write(small_scan(), tmp_path / "scan.h5")
    write(small_scan(), tmp_path / "export.h5")
    (tmp_path / "inner" / "run").mkdir(parents=True)
    write(small_scan(), tmp_path / "inner" / "run" / "copy.h5")
    write_index(tmp_path, Index({}, {"export.h5"}))
    write_index(tmp_path / "inner", Index({}, {"run"}))
    assert names(tmp_path, ".") == ["scan"]


def test_a_scan_that_comes_later_renames_no_other(tmp_path: Path) -> None:
    write(small_scan(), tmp_path / "scan.h5")
    out = tmp_path / "out"
    out.mkdir()
    write_index(out, Index({case.key: case.name for case in find_cases(tmp_path, out)}))
    write(small_scan(), tmp_path / "scan.mrd")
    assert names(tmp_path) == ["scan", "scan_mrd"]


def test_a_damaged_file_of_another_name_is_ignored(tmp_path: Path) -> None:
    write(small_scan(), tmp_path / "scan.h5")
    (tmp_path / "results.nc").write_bytes(b"\x89HDF\r\n\x1a\n")
    with h5py.File(tmp_path / "table.hdf", "w") as file:
        file["a"] = np.zeros(3)
    assert names(tmp_path) == ["scan"]


@pytest.mark.parametrize("kind", ["missing", "empty", "a file"])
def test_a_folder_without_scans_is_refused(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    if kind == "empty":
        folder.mkdir()
    elif kind == "a file":
        folder.touch()
    with pytest.raises(BadRequest, match=r"there is no (such folder|scan in it)"):
        find_cases(folder, tmp_path / "out")
