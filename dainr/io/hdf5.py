"""What every HDF5 reader shares: opening a file with a clear error, reading a dataset, writing without half a file."""

import errno
import fcntl
import io
import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dainr.errors import BadRequest, BadScan, LockedScan
from dainr.machine import disk
from dainr.machine.beside import beside

SIGNATURE = b"\x89HDF\r\n\x1a\n"
LOCKED = "unable to lock file", "already open for write"  # in HDF5's own words
STILL_S = 2.0  # a file that does not change for so long is taken as it is, though another program holds its lock
NOT_THE_CONTENT = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO)


def is_hdf5(path: Path) -> bool:
    """Whether the file begins as HDF5 files do."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file open for reading, without its lock where that cannot be had.

    Raises BadScan when it is truncated, damaged or cannot be read, also while it is read, and LockedScan where another
    program is writing it.
    """
    before = None  # of a file that another program may be writing
    try:
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            if not _is_lock(error):
                raise
            before = _once_still(path)
            file = h5py.File(path, "r", locking=False)
        with file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # of structure, of names, of types
        if before is not None or _is_lock(error):
            raise _locked(path) from error
        if (why := _why_not_read(error)) is not None:
            raise unreadable(path, OSError(why)) from error
        raise BadScan(
            str(path), f"the file is truncated or damaged ({_first_line(error)})", "copy or export it again"
        ) from error
    if before is not None and _state(path) != before:
        raise _locked(path)


def is_held(path: Path) -> bool:
    """Whether another program holds the lock of this file, as one that writes it does."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # the file system knows no locks
            return False
    return False


def unreadable(path: Path, error: OSError) -> BadScan:
    """What to say where the system does not let read a file: the one at this path, or one that belongs to it."""
    why = error.strerror or str(error) or type(error).__name__
    return BadScan(str(error.filename or path), f"it cannot be read ({why})", "check its permissions and the disk")


def _is_lock(error: BaseException) -> bool:
    return isinstance(error, OSError) and any(words in str(error) for words in LOCKED)


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _once_still(path: Path) -> tuple[int, int]:
    """Size and time of the last change of a file, once it has not changed for a while. Raises LockedScan if it does."""
    before = _state(path)
    if is_held(path):
        time.sleep(max(0.0, min(STILL_S, STILL_S - (time.time() - before[1] * 1e-9))))
    if _state(path) != before:
        raise _locked(path)
    return before


def _locked(path: Path) -> LockedScan:
    return LockedScan(
        str(path), "it is locked: another program writes it, or ended before it had closed it", "wait, or copy it again"
    )


def _why_not_read(error: BaseException) -> str | None:
    """What the system says of a file that it does not let read; None where its content is at fault."""
    told = re.search(r"errno = (\d+)", str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    return os.strerror(number) if number in NOT_THE_CONTENT else None


def read_array(file: h5py.File, name: str, where: str) -> np.ndarray | None:
    """The dataset of that name as an array, or None. Raises BadScan when it does not hold numbers."""
    if name not in file:
        return None
    dataset = file[name]
    if isinstance(dataset, h5py.Dataset) and _lies_beyond(dataset, file):
        raise BadScan(where, f"{name} is longer than the file", "copy or export it again")
    try:
        array = np.asarray(dataset[()]) if isinstance(dataset, h5py.Dataset) else np.empty(0, object)
    except (TypeError, ValueError):  # an HDF5 type that numpy lacks
        array = np.empty(0, object)
    if array.dtype.names == ("real", "imag") and array.dtype["real"].kind in "iuf":  # complex numbers, as pairs
        pair, array = array, np.empty(array.shape, np.result_type(array.dtype["real"], np.complex64))
        array.real, array.imag = pair["real"], pair["imag"]
    if array.dtype.kind not in "biufc":
        raise BadScan(where, f"{name} is not an array of numbers", f"store {name} as a numeric dataset")
    return array


def _lies_beyond(dataset: h5py.Dataset, file: h5py.File) -> bool:
    """Whether an array that lies in the file as it is takes more bytes than that has."""
    as_it_is = dataset.chunks is None and dataset.external is None and not dataset.is_virtual
    return as_it_is and dataset.dtype.kind in "biufc" and dataset.nbytes > file.id.get_filesize()


@contextmanager
def write_whole(path: Path, size: int = 0) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place once the block has ended well, and vanishes otherwise.

    Where `path` is a link, what it points to is written, and the link stays.
    `size`: bytes that it will take, where that is known. Raises NoRoom where these are not there or the disk gets full.
    """
    target = path.resolve() if path.is_symlink() else path
    if not target.parent.is_dir():
        raise BadRequest(str(path), f"there is no folder {target.parent}", "create it first")
    if target.exists() and not target.is_file():
        raise BadRequest(str(path), "it is no ordinary file", "choose another name")
    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(beside(target))
        except OSError as error:
            raise BadRequest(str(path), f"it cannot be written ({error.strerror})", "choose another folder") from error
        disk.check_room(target, size)
        with disk.room_for(target):
            yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        try:
            temporary.replace(target)
        except OSError as error:
            raise BadRequest(str(path), f"it cannot be replaced ({error.strerror})", "choose another name") from error


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file to write to. What the disk refuses is raised in the end: HDF5 may crash where it is told."""
    with new_sink(path) as sink, h5py.File(sink, "w") as file:
        yield file
        file.flush()


@contextmanager
def new_sink(path: Path) -> Iterator["Sink"]:
    """The same for who opens the HDF5 file, as h5py does one that Python has open, and closes it before the end."""
    with path.open("w+b", buffering=0) as raw:
        sink = Sink(raw)
        yield sink
        sink.check()


class Sink:
    """A file that takes everything, and keeps the first error of the disk."""

    def __init__(self, raw: io.FileIO) -> None:
        self.raw = raw
        self.refused: OSError | None = None
        self.read, self.seek, self.tell = raw.read, raw.seek, raw.tell

    def check(self) -> None:
        """Raise what the disk has refused."""
        if self.refused is not None:
            raise self.refused

    def readinto(self, buffer: Any) -> int:
        """What was written; zeros where the disk refused it."""
        view = memoryview(buffer).cast("B")
        view[:] = bytes(len(view))
        self.raw.readinto(view)
        return len(view)

    def write(self, data: Any) -> int:
        """Write all of it, as long as the disk takes it."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while self.refused is None and done < len(view):
                done += self.raw.write(view[done:]) or 0
        except OSError as error:
            self.refused = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size."""
        try:
            return self.raw.truncate(size)
        except OSError as error:
            self.refused = self.refused or error
            return size or 0

    def flush(self) -> None:
        """Nothing is kept back."""


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0].strip("\"'") if text else type(error).__name__
