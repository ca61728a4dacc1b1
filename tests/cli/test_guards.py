"""What must never be overwritten: the scan of a run, a run by an export, a scan by a cine."""

from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.export import check_target
from dainr.io import load
from dainr.runs.folder import CINE, RunFolder
from tests.cli import invoke
from tests.cli.conftest import FinishedRun


def test_a_scan_that_the_run_would_overwrite_is_refused(radial_file: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    scan = radial_file.rename(tmp_path / CINE)
    with pytest.raises(BadRequest, match="would overwrite it"):
        folder.check_apart(scan)
    assert load(scan).n_frames == 6


def test_an_export_does_not_replace_the_files_of_its_run(finished: FinishedRun) -> None:
    before = (finished.folder / CINE).read_bytes()
    result = invoke("export", finished.folder, finished.folder / CINE, "--force")
    assert result.exit_code == 2
    assert "file of the run itself" in result.stderr
    assert (finished.folder / CINE).read_bytes() == before


def test_an_export_does_not_replace_a_scan(radial_file: Path) -> None:
    with pytest.raises(BadRequest, match="it is a scan"):
        check_target(radial_file, force=True)


def test_a_stack_is_not_simulated_as_its_first_slice(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", np.ones((2, 3, 32, 32), np.float32))
    result = invoke("simulate", tmp_path / "scan.h5", "--cine", tmp_path / "stack.npy")
    assert result.exit_code == 2
    assert "2 slices" in result.stderr
    assert not (tmp_path / "scan.h5").exists()
