"""The lock of a file by itself: one has it at a time, and it ends with its process."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import pytest

from dainr.machine.lock import OwnLock

TAKES = "import sys, pathlib; from dainr.machine.lock import OwnLock; OwnLock(pathlib.Path(sys.argv[1])).acquire()"
DIES = f"{TAKES}; import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def test_one_has_it_at_a_time(tmp_path: Path) -> None:
    one, other, got = OwnLock(tmp_path / "a"), OwnLock(tmp_path / "a"), list[str]()
    one.acquire()

    def wait() -> None:
        other.acquire()
        got.append("other")
        other.release()

    waits = Thread(target=wait)
    waits.start()
    time.sleep(0.05)
    got.append("one")
    one.release()
    waits.join()
    assert got == ["one", "other"]


def test_it_ends_with_its_process(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "a")], check=False)
    assert died.returncode == -signal.SIGKILL
    lock = OwnLock(tmp_path / "a")
    lock.acquire()
    lock.release()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_system_without_locks_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(handle: int, how: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", none)
    lock = OwnLock(tmp_path / "a")
    lock.acquire()
    lock.release()
