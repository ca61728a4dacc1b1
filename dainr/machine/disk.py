"""Arrays on disk, so that a stack takes the memory of a slice.

They lie in files without a name, whose space is free as soon as nothing refers to them: in TMPDIR where that is set,
and else where the system keeps large temporary files.
"""

import errno
import mmap
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike

from dainr.errors import DainrError, NoRoom

LARGE = "/var/tmp"  # /tmp may be memory itself
ALIGNMENT = 64  # bytes
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
IN_WORDS = ("no space left", "disk quota exceeded", "file too large")
NEARLY_FULL = 2**16  # bytes that are left where a writer that says no reason has failed for want of room


class Space(mmap.mmap):
    """A file in the address space; told from others', for what lies here may leave memory at any time."""


def temporary_folder() -> str:
    """Where such files lie."""
    return LARGE if "TMPDIR" not in os.environ and os.access(LARGE, os.W_OK) else tempfile.gettempdir()


def check_room(path: Path, size: int) -> None:
    """Raises NoRoom where a file of so many bytes does not fit beside what is there. Its folder must be there."""
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise NoRoom(
            str(path), f"there is no room for it: it takes {_megabytes(size)}, {_megabytes(free)} are free", "make room"
        )


@contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Raises NoRoom in place of whatever the writer of a file raises, once the disk is full."""
    try:
        yield
    except DainrError:
        raise
    except Exception as error:  # each library has its own
        if not _is_full(error, path.parent):
            raise
        raise NoRoom(str(path), "the disk is full", "make room, or choose another folder") from error


def is_nearly_full(folder: Path) -> bool:
    """Whether nothing of any size can be written there."""
    return shutil.disk_usage(folder).free < NEARLY_FULL


def _is_full(error: Exception, folder: Path) -> bool:
    said = getattr(error, "errno", None) in NO_ROOM or any(words in str(error).lower() for words in IN_WORDS)
    return said or is_nearly_full(folder)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e9:.4g} GB"


@contextmanager
def room_needed() -> Iterator[None]:
    """Raises NoRoom where there is no room for a temporary file."""
    try:
        yield
    except OSError as error:
        raise NoRoom(
            "temporary files",
            f"there is no room for them in {temporary_folder()} ({error.strerror})",
            "set TMPDIR to a folder with more",
        ) from error


def new_file() -> IO[bytes]:
    """An empty file without a name. Raises BadRequest where there is no room for it."""
    with room_needed():
        return tempfile.TemporaryFile(dir=temporary_folder())


def zeros(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """An array of zeros on disk. Raises BadRequest where there is no room for it."""
    kind = np.dtype(dtype)
    size = max(int(np.prod(shape, dtype=np.int64)) * kind.itemsize, 1)
    reserve = getattr(os, "posix_fallocate", lambda handle, _, length: os.ftruncate(handle, length))
    with new_file() as file:
        with room_needed():
            reserve(file.fileno(), 0, size)
        return np.frombuffer(Space(file.fileno(), size), kind, size // kind.itemsize).reshape(shape)


def stack(count: int, part: Callable[[int], np.ndarray]) -> np.ndarray:
    """The parts 0 to count - 1 along a new first axis; on disk, but for one alone."""
    first = part(0)
    if count == 1:
        return first[None]
    whole = zeros((count, *first.shape), first.dtype)
    for index in range(count):
        whole[index] = part(index) if index else first
        release(whole[index])
    return whole


def release(array: np.ndarray | None) -> None:
    """Take an array that lies on disk out of memory, until it is read again; any other is left as it is."""
    owner: object = array
    while isinstance(owner, np.ndarray):
        owner = owner.base
    space = owner.obj if isinstance(owner, memoryview) else owner
    if array is None or not array.size or not isinstance(space, Space) or not hasattr(mmap, "MADV_DONTNEED"):
        return
    begin = np.frombuffer(space, np.uint8).ctypes.data
    first, last = (address - begin for address in np.lib.array_utils.byte_bounds(array))
    first -= first % mmap.PAGESIZE
    space.madvise(mmap.MADV_DONTNEED, first, last - first)


def dump(thing: Any, file: IO[bytes]) -> tuple[bytes, list[slice]]:
    """Pickle a thing, its arrays into a file; what `load` needs of it. Raises BadRequest where there is no room."""
    places: list[slice] = []

    def put(buffer: pickle.PickleBuffer) -> None:
        first = file.seek(-(-file.tell() // ALIGNMENT) * ALIGNMENT)
        file.write(buffer.raw())
        places.append(slice(first, file.tell()))

    with room_needed():
        pickled = pickle.dumps(thing, protocol=5, buffer_callback=put)
        file.flush()
    return pickled, places


def load(pickled: bytes, places: list[slice], file: IO[bytes]) -> Any:
    """The thing that was dumped; its arrays lie in the file, which may be closed."""
    size = max((place.stop for place in places if place.stop > place.start), default=0)
    view = memoryview(Space(file.fileno(), size) if size else b"")
    return pickle.loads(pickled, buffers=[view[place] for place in places])
