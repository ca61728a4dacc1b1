"""Half-written files beside those that they become: gone once a killed process is, whole folders in one step."""

import os
import time
from pathlib import Path

import pytest

from dainr.errors import BadRequest
from dainr.io.hdf5 import write_whole
from dainr.io.images.dicom import write_dicom
from dainr.machine import beside as module
from dainr.machine.beside import SETTLED_S, beside, exchange
from tests.io.images.test_full_disk import some_cine

LONG_AGO = (0.0, 0.0)


@pytest.mark.parametrize("is_folder", [False, True])
def test_what_a_killed_process_left_goes_and_what_another_writes_stays(tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "cine.nii.gz"
    with beside(path, is_folder) as left:
        name = left.name
    stale, fresh, foreign = tmp_path / name, tmp_path / f"{name[:-8]}x", tmp_path / f".x{name}"
    for file in (stale, fresh, foreign):
        file.mkdir() if is_folder else file.touch()
    for file in (stale, foreign):
        os.utime(file, LONG_AGO)
    with beside(path, is_folder) as held:
        os.utime(held, LONG_AGO)
        with beside(path, is_folder):
            assert {file for file in (stale, fresh, foreign, held) if file.exists()} == {fresh, foreign, held}
    assert SETTLED_S > 1


def test_what_was_left_before_the_clock_was_set_back_goes_too(tmp_path: Path) -> None:
    with beside(tmp_path / "cine.npy") as left:
        name = left.name
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (time.time() + 1e6,) * 2)
    with beside(tmp_path / "cine.npy"):
        assert not (tmp_path / name).exists()


def test_folders_change_places_in_one_step(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("not on this system")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    assert not exchange(tmp_path / "a", tmp_path / "none")


@pytest.mark.parametrize("can", [True, False])
def test_dicom_images_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can: bool) -> None:
    if not can:
        monkeypatch.setattr("dainr.io.images.dicom.exchange", lambda *_: False)
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "old.dcm").touch()
    write_dicom(some_cine(), tmp_path / "dicom")
    assert len(list((tmp_path / "dicom").iterdir())) == 10
    assert not (tmp_path / "dicom" / "old.dcm").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["dicom"]


def test_through_a_link_what_it_points_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("there", "not_there"):
        (tmp_path / name).symlink_to(tmp_path / "elsewhere" / name)
    (tmp_path / "elsewhere" / "there").write_text("old")
    for name in ("there", "not_there"):
        with write_whole(tmp_path / name) as temporary:
            temporary.write_text("new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "elsewhere" / name).read_text() == "new"
    (tmp_path / "dicom").symlink_to(tmp_path / "elsewhere" / "dicom")
    for _ in range(2):
        write_dicom(some_cine(), tmp_path / "dicom")
        assert (tmp_path / "dicom").is_symlink()
        assert len(list((tmp_path / "elsewhere" / "dicom").iterdir())) == 10


def test_without_locks_nothing_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with beside(tmp_path / "file") as left:
        name = left.name
    (tmp_path / name).touch()
    os.utime(tmp_path / name, LONG_AGO)

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(module.fcntl, "flock", no_locks)
    with beside(tmp_path / "file"):
        pass
    assert (tmp_path / name).exists()


def test_what_may_not_be_replaced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a file of another user in a folder like /tmp."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "replace", refuse)
    (tmp_path / "theirs.npy").write_text("theirs")
    with pytest.raises(BadRequest, match=r"theirs\.npy: it cannot be replaced"), write_whole(tmp_path / "theirs.npy"):
        pass
    assert (tmp_path / "theirs.npy").read_text() == "theirs"
    assert len(list(tmp_path.iterdir())) == 1
