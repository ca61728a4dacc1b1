"""Arrays on disk, so that a stack takes the memory of a slice.

They lie in files without a name, whose space is free as soon as nothing refers to them: in TMPDIR where that is set,
and else where the system keeps large temporary files.
"""

import mmap
import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike

from dainr.errors import BadRequest

LARGE = "/var/tmp"  # /tmp may be memory itself
ALIGNMENT = 64  # bytes


class Space(mmap.mmap):
    """A file in the address space; told from others', for what lies here may leave memory at any time."""


def temporary_folder() -> str:
    """Where such files lie."""
    return LARGE if "TMPDIR" not in os.environ and os.access(LARGE, os.W_OK) else tempfile.gettempdir()


@contextmanager
def room_needed() -> Iterator[None]:
    """Raises BadRequest where there is no room for a file."""
    try:
        yield
    except OSError as error:
        raise BadRequest(
            "temporary files",
            f"there is no room for them ({error.strerror})",
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
