"""Arrays on disk: the same numbers as in memory, which they leave when told to."""

import errno
import io
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.machine import disk
from tests.helper import on_disk

PAGES = 1000


def resident() -> int:
    """Pages of files in memory."""
    return int(Path("/proc/self/statm").read_text().split()[2])


def test_what_is_released_leaves_memory_and_comes_back_as_it_was() -> None:
    array = disk.zeros((2, PAGES, 4096), np.uint8)
    assert on_disk(array) and not array.any()
    array[:] = np.arange(4096) % 251
    before = resident()
    disk.release(array[1])
    assert before - resident() > 0.9 * PAGES * 4096 / os.sysconf("SC_PAGE_SIZE")
    np.testing.assert_array_equal(array[1], np.broadcast_to(np.arange(4096) % 251, (PAGES, 4096)))
    disk.release(array[:, ::2, 5:7].astype(int))
    disk.release(array[:, ::-2, 5:7])
    np.testing.assert_array_equal(array[0, 7], np.arange(4096) % 251)


@pytest.mark.parametrize("array", [None, np.arange(3.0), np.arange(3.0)[1:], np.zeros((0, 2))])
def test_what_lies_in_memory_stays_there(array: np.ndarray | None) -> None:
    before = None if array is None else array.copy()
    disk.release(array)
    if before is not None:
        np.testing.assert_array_equal(array, before)


def test_a_file_that_others_mapped_is_left_alone(tmp_path: Path) -> None:
    np.zeros(4096).tofile(tmp_path / "a")
    mapped = np.memmap(tmp_path / "a", mode="c")
    mapped[:] = 7  # in memory alone: it would be lost
    disk.release(mapped)
    assert (mapped == 7).all()


@pytest.mark.parametrize("count", [1, 3])
def test_a_stack_is_that_of_its_parts(count: int) -> None:
    parts = np.random.default_rng(0).normal(size=(count, 5, 6)).astype(np.float32)
    stacked = disk.stack(count, lambda index: parts[index])
    np.testing.assert_array_equal(stacked, parts)
    assert stacked.dtype == parts.dtype and on_disk(stacked) == (count > 1)


def test_nothing_is_left_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    array = disk.zeros((10,), np.float64)
    assert disk.temporary_folder() == str(tmp_path) and not any(tmp_path.iterdir())
    assert array.sum() == 0


def test_without_a_wish_large_files_lie_where_the_system_has_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(os, "access", lambda path, _: path == disk.LARGE)
    assert disk.temporary_folder() == disk.LARGE
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert disk.temporary_folder() == tempfile.gettempdir()


def no_room(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("module", "name", "make"),
    [
        (os, "posix_fallocate", lambda: disk.zeros((2, 3), np.float32)),
        (tempfile, "TemporaryFile", disk.new_file),
        (pickle, "dumps", lambda: disk.dump(np.zeros(3), io.BytesIO())),
    ],
)
def test_no_room_is_said_in_a_sentence(
    module: Any, name: str, make: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, no_room)
    with pytest.raises(BadRequest, match=r"no room for them.*TMPDIR"):
        make()


def test_what_is_dumped_is_loaded_with_its_arrays_in_the_file() -> None:
    thing = {"a": np.arange(7, dtype=np.int8), "b": [np.ones((3, 4), np.complex64), "text"], "c": np.zeros((0, 2))}
    with disk.new_file() as file:
        pickled, places = disk.dump(thing, file)
        loaded = disk.load(pickled, places, file)
    np.testing.assert_array_equal(loaded["a"], thing["a"])
    np.testing.assert_array_equal(loaded["b"][0], thing["b"][0])
    assert loaded["b"][1] == "text" and loaded["c"].shape == (0, 2)
    assert on_disk(loaded["b"][0]) and loaded["b"][0].ctypes.data % disk.ALIGNMENT == 0
    loaded["b"][0][0] = 2
    disk.release(loaded["b"][0])
    assert loaded["b"][0].sum() == 16


def test_what_holds_no_arrays_needs_no_file() -> None:
    with disk.new_file() as file:
        assert disk.load(*disk.dump("text", file), file) == "text"
