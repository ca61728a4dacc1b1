"""HDF5 files that another program holds, or the system does not let read: said, and read where they can be."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dainr.errors import BadScan, LockedScan
from dainr.io import hdf5
from dainr.io.scans import formats, native
from tests.io import small_scan


@pytest.fixture
def scan_file(tmp_path: Path) -> Path:
    native.write(small_scan(), tmp_path / "scan.h5")
    return tmp_path / "scan.h5"


@pytest.fixture
def held(scan_file: Path) -> Iterator[Path]:
    """A file whose lock another program holds."""
    with scan_file.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield scan_file


def test_a_file_that_lies_still_is_read_without_its_lock_and_that_is_said(
    held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf5, "STILL_S", 0.01)
    scan = formats.read(held)
    np.testing.assert_array_equal(scan.kspace, small_scan().kspace)
    assert scan.notes[-1] == "another program has the file open for writing: read as it is now"


def test_a_file_that_changes_is_locked_and_not_damaged(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "STILL_S", 0.3)
    writer = threading.Timer(0.05, lambda: os.utime(held))
    writer.start()
    with pytest.raises(LockedScan, match="it is locked: another program writes it"):
        formats.read(held)
    writer.join()


def test_one_that_changes_while_it_is_read_is_locked(held: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "STILL_S", 0.01)
    with pytest.raises(LockedScan), hdf5.open_hdf5(held):
        time.sleep(0.01)
        os.utime(held)


NEVER_CLOSED = """
import h5py, os, sys
file = h5py.File(sys.argv[1], "w", libver="latest")
file["kspace"] = [1.0]
file.flush()
os._exit(0)
"""


def test_one_that_was_never_closed_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "STILL_S", 0.01)
    subprocess.run([sys.executable, "-c", NEVER_CLOSED, tmp_path / "scan.h5"], check=True)
    with pytest.raises(LockedScan, match="ended before it had closed it"):
        formats.read(tmp_path / "scan.h5")


def failing(monkeypatch: pytest.MonkeyPatch, number: int, words: str) -> list[bool]:
    """HDF5 fails so, unless it is asked not to lock; whether it was."""
    asked: list[bool] = []
    real = h5py.File

    def open_file(path: Path, mode: str, locking: bool = True) -> Any:
        asked.append(locking)
        if locking or "lock" not in words:
            raise OSError(f"Unable to open file ({words}, errno = {number}, error message = '{os.strerror(number)}')")
        return real(path, mode, locking=locking)

    monkeypatch.setattr(h5py, "File", open_file)
    return asked


def test_a_disk_that_knows_no_locks_is_read_without(scan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = failing(monkeypatch, errno.ENOLCK, "unable to lock file")
    assert formats.read(scan_file).notes == native.read(scan_file).notes
    assert set(asked) == {True, False}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_what_the_system_does_not_let_read_is_not_called_damaged(
    number: int, scan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, number, "unable to open file: name = 'x'")
    with pytest.raises(BadScan, match=rf"it cannot be read \({os.strerror(number)}\)") as error:
        formats.read(scan_file)
    assert not isinstance(error.value, LockedScan)


@pytest.mark.parametrize("call", ["is_file", "open"])
def test_errors_of_any_reader_are_one_sentence(call: str, scan_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(scan_file))

    monkeypatch.setattr(Path, call, fail)
    with pytest.raises(BadScan, match="it cannot be read"):
        formats.read(scan_file)
