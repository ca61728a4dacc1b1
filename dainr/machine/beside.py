"""What is half written lies beside the file or folder that it becomes; what a killed process left there goes with time.

Who writes holds a lock of it, which ends with the process, however that ends.
"""

import ctypes
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".dainr-"
SETTLED_S = 60.0  # what is younger may not have its lock yet
CURRENT_FOLDER, EXCHANGE = -100, 2  # of renameat2(2)


@contextmanager
def beside(path: Path, is_folder: bool = False) -> Iterator[Path]:
    """A new file, or folder, beside a path, with its suffix; what is left of it in the end goes.

    Raises OSError where it cannot be made.
    """
    prefix = f"{PREFIX}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:10]}-"
    _tidy(path.parent, prefix)
    suffix = "".join(path.suffixes[-2:])
    if is_folder:
        temporary = Path(tempfile.mkdtemp(suffix, prefix, path.parent))
        handle = os.open(temporary, os.O_RDONLY)
    else:
        handle, name = tempfile.mkstemp(suffix, prefix, path.parent)
        temporary = Path(name)
    try:
        with suppress(OSError):  # a file system without locks: then it is never taken for left
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
    finally:
        _remove(temporary)
        os.close(handle)


def exchange(one: Path, other: Path) -> bool:
    """Swap two paths in one step, so that neither is ever missing; False where the system or the disk cannot."""
    swap = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    names = os.fsencode(one), os.fsencode(other)
    return swap is not None and swap(CURRENT_FOLDER, names[0], CURRENT_FOLDER, names[1], EXCHANGE) == 0


def _tidy(folder: Path, prefix: str) -> None:
    """Take away what nobody is writing any more."""
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if abs(time.time() - path.lstat().st_mtime) < SETTLED_S:  # later than now: the clock was set back
                continue
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
