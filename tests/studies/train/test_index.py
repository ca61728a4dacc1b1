"""The index of a folder: what validates, what is skipped; and scans that leave memory."""

import shutil
from pathlib import Path

import pytest
import torch

from dainr.errors import BadRequest, BadScan
from dainr.io import ReadOptions
from dainr.io.scans import native
from dainr.prepare.binning import Binning
from dainr.runs.owned import OwnedFolder
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.studies.train.cohort import Cohort
from dainr.studies.train.config import configure_training
from dainr.studies.train.index import Index, build_index, index_of

from .conftest import QUICK


def indexed(scans: Path, work: Path, *pairs: str) -> Index:
    _, config = configure_training("crnn", None, [*QUICK, *pairs])
    return build_index(scans, OwnedFolder(work), config, Binning(), ReadOptions(), lambda done, of, why: None)


@pytest.fixture
def copied(scans: Path, tmp_path: Path) -> Path:
    shutil.copytree(scans, tmp_path / "scans")
    (tmp_path / "work").mkdir()
    return tmp_path / "scans"


def test_what_validates_follows_from_content_and_seed_not_from_names(copied: Path, tmp_path: Path) -> None:
    first = indexed(copied, tmp_path / "work", "validation_share=0.5")
    (copied / "scan_0.h5").rename(copied / "z.h5")
    renamed = indexed(copied, tmp_path / "work", "validation_share=0.5")
    assert {s.file for s in first.validating} == {s.file for s in renamed.validating}
    assert len(first.validating) == len(first.training) == 2
    seeds = [{s.file for s in indexed(copied, tmp_path / "work", f"seed={n}").validating} for n in range(4)]
    assert len(set(map(frozenset, seeds))) > 1


def test_one_odd_file_never_stops_a_training(copied: Path, tmp_path: Path) -> None:
    (copied / "text.h5").write_text("no scan")
    shutil.copy(copied / "scan_2.h5", copied / "scan_2b.h5")
    whole = (copied / "scan_1.h5").read_bytes()
    (copied / "half.h5").write_bytes(whole[: len(whole) // 2])
    native.write(simulate_phantom(SimulationConfig(spokes=8, coils=2, frames=1, matrix=24)), copied / "still.h5")
    index = indexed(copied, tmp_path / "work")
    assert len(index.samples) == 4
    assert set(index.skipped) == {"text", "scan_2b", "half", "still"}
    assert "the same as scan_2" in index.skipped["scan_2b"] and "single frame" in index.skipped["still"]
    assert index_of(index.as_dict()) == index
    assert {path.name for path in (tmp_path / "work").glob("scan_*")} == {s.file for s in index.samples}


def test_only_scans_that_judge_keep_readouts_from_the_network(copied: Path, tmp_path: Path) -> None:
    index = indexed(copied, tmp_path / "work")
    work, cpu = OwnedFolder(tmp_path / "work"), torch.device("cpu")
    assert all(Cohort(work, index.training, cpu)[place].heldout is None for place in range(3))
    assert Cohort(work, index.validating, cpu)[0].heldout is not None


def test_a_single_scan_is_judged_by_the_readouts_it_holds_out(copied: Path, tmp_path: Path) -> None:
    for number in (0, 2, 3):
        (copied / f"scan_{number}.h5").unlink()
    index = indexed(copied, tmp_path / "work")
    assert index.training == index.validating and len(index.samples) == 1


def test_folders_without_scans_of_use_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadRequest, match="there is no scan in it"):
        indexed(tmp_path / "empty", tmp_path)
    (tmp_path / "empty" / "text.h5").write_text("no scan")
    with pytest.raises(BadScan, match="none of its scans can be trained with"):
        indexed(tmp_path / "empty", tmp_path)


def test_scans_leave_memory_and_come_back_the_same(copied: Path, tmp_path: Path) -> None:
    index = indexed(copied, tmp_path / "work")
    work, cpu = OwnedFolder(tmp_path / "work"), torch.device("cpu")
    all_of_them, one = (Cohort(work, index.training, cpu, limit) for limit in (2**30, 0))
    first = [one[place].measurements.of().rhs for place in (0, 1, 2, 0)]
    assert len(one._kept) == 1 and torch.equal(first[0], first[3])
    assert torch.equal(first[1], all_of_them[1].measurements.of().rhs)
    assert all_of_them[1] is all_of_them[1]


def test_a_damaged_scan_of_the_work_folder_is_said(copied: Path, tmp_path: Path) -> None:
    index = indexed(copied, tmp_path / "work")
    (tmp_path / "work" / index.training[0].file).write_bytes(b"x" * 100)
    with pytest.raises(BadScan, match="it is damaged"):
        Cohort(OwnedFolder(tmp_path / "work"), index.training, torch.device("cpu"))[0]
    assert indexed(copied, tmp_path / "work").samples == index.samples
