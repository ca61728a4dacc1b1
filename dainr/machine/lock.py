"""Locks between processes: files that the system holds locked for who has them open, and lets go when that one dies."""

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dainr.errors import BadRequest

log = logging.getLogger(__name__)

LOCK = ".lock"  # its name in the folder that it is of
HELD = (errno.EWOULDBLOCK, errno.EACCES)  # by another


@contextmanager
def alone_in(folder: Path, who: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock of a folder, which is there; its file is gone afterwards.

    `who` is at work in it where the lock is not to be had, in words: then BadRequest is raised, or with `wait` waited.
    A file system without locks is said in the log, for there nothing keeps others out.
    """
    path = folder / LOCK
    handle = _locked(path, folder, who, wait)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)  # while it is held: who waits for it then finds another file, or none
        os.close(handle)


@contextmanager
def alone_with(path: Path, who: str) -> Iterator[None]:
    """Hold the lock of a file by itself, which is made where it is not there; nothing else lies beside it for that.

    Raises BadRequest while another process holds it, which is `who`, at work in it, in words.
    """
    handle = _locked(path.resolve(), path, who, wait=False)
    try:
        yield
    finally:
        os.close(handle)


class OwnLock:
    """The same for one who waits, and again and again."""

    def __init__(self, path: Path) -> None:
        self.path, self._handle = path, -1

    def acquire(self) -> None:
        """Wait for the lock and take it; on a file system without locks there is nothing to wait for."""
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        with suppress(OSError):
            fcntl.flock(self._handle, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let it go."""
        os.close(self._handle)


def _locked(path: Path, of: Path, who: str, wait: bool) -> int:
    """The open lock file of this path, locked; it is the lock `of` a folder or file."""
    while True:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
        except OSError as error:
            raise BadRequest(str(of), f"it cannot be written to ({error.strerror})", "choose another folder") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in HELD:
                os.close(handle)
                raise BadRequest(str(of), f"{who} is at work in it", "wait for it or choose another name") from error
            log.warning(
                "%s: its file system knows no locks (%s): see to it that nothing else writes there",
                of,
                error.strerror,
            )
            return handle
        if _is_there(path, handle):
            return handle
        os.close(handle)  # who held it has taken it away


def _is_there(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
