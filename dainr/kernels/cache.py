"""Where compiled code is kept: beside the program or in a user's cache, as numba does it; else in TMPDIR; else nowhere.

Containers often hold a program that nobody may write beside, and a user without a home. numba then refuses to compile,
and so does Triton.
"""

import os
import stat
import tempfile
from pathlib import Path

import numba
from numba import njit

FOLDER = "dainr-compiled"


def is_kept() -> bool:
    """Whether compiled code can be kept; where only TMPDIR can be written, numba is told to keep it there."""
    if _has_home() and _numba_finds_a_place():
        return True
    folder = _own_folder()
    if folder is None:
        return False
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    return _numba_finds_a_place()


def _has_home() -> bool:
    """Whether the user has one; else numba keeps code, which is run, in a folder called ~ wherever the user is."""
    return Path(os.path.expanduser("~")).is_absolute() or bool(numba.config.CACHE_DIR)  # type: ignore[attr-defined]  # noqa: PTH111


def keep_triton() -> None:
    """Where Triton's place in the home cannot be written, tell it to keep compiled kernels in TMPDIR."""
    if os.environ.get("TRITON_CACHE_DIR"):
        return
    try:
        place = Path(os.environ.get("TRITON_HOME") or Path.home()) / ".triton" / "cache"
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=place):
            return
    except (OSError, RuntimeError):  # no home to write in, or none at all
        folder = _own_folder()
        os.environ["TRITON_CACHE_DIR"] = str(folder or tempfile.mkdtemp(prefix=FOLDER))


def _numba_finds_a_place() -> bool:
    try:
        njit(cache=True)(_nothing)
    except RuntimeError:
        return False
    return True


def _nothing() -> None:
    """What numba is asked to keep."""


def _own_folder() -> Path | None:
    """A folder for temporary files that this user alone can write, for what lies in it is run; None: there is none."""
    try:
        folder = Path(tempfile.gettempdir()) / f"{FOLDER}-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return folder if mine and folder.parent != Path.cwd() else None
