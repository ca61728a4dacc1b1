"""What a batch takes for its own in a folder."""

import json
from pathlib import Path

import pytest

from dainr.errors import BadRequest
from dainr.studies.batch.index import CASES, INDEX, Index, check_own, entry, read_index, write_index


@pytest.mark.parametrize(
    ("name", "whose"),
    [("p1.nii.gz", "p1.nii.gz"), ("p1_view2.nii.gz", "p1.nii.gz"), ("p1.hdr", "p1.cfl"), ("p1_view2", "p1_view2")],
)
def test_an_entry_stands_for_all_that_an_export_writes(name: str, whose: str) -> None:
    assert entry(name) == whose


def test_an_index_comes_back(tmp_path: Path) -> None:
    assert read_index(tmp_path) == Index()
    write_index(tmp_path, Index({"a.h5": "a", "\udcff.h5": "%FF"}, {"a", "a.nii"}))
    assert read_index(tmp_path) == Index({"a.h5": "a", "\udcff.h5": "%FF"}, {"a", "a.nii"})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other", "version": 1}', "\xff"])
def test_a_file_of_its_name_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(text, encoding="latin-1")
    with pytest.raises(BadRequest, match="name another folder"):
        read_index(tmp_path)


def test_what_is_there_and_not_its_own_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("mine.nii", "yours_view1.nii", "other.txt"):
        (tmp_path / name).touch()
    check_own(tmp_path, Index({}, {"mine.nii"}), {"mine.nii", "new.nii"})
    with pytest.raises(BadRequest, match=r"no batch wrote yours\.nii in it"):
        check_own(tmp_path, Index({}, {"mine.nii"}), {"mine.nii", "yours.nii"})


def test_results_from_before_there_was_an_index_are_taken_for_its_own(tmp_path: Path) -> None:
    (tmp_path / CASES).mkdir()
    record = {"name": "a", "path": "a.h5", "asked": {}, "status": "done"}
    (tmp_path / CASES / "a.json").write_text(json.dumps(record))
    for name in ("a", "a_dicom", "b"):
        (tmp_path / name).mkdir()
    for name in ("a.nii.gz", "summary.csv", "b.nii.gz"):
        (tmp_path / name).touch()
    assert read_index(tmp_path).files == {CASES, "a", "a_dicom", "a.nii.gz", "summary.csv"}
