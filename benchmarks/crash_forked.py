"""Commands of the program in forked processes: what they import is there already, so that kills hit their work.

A kill comes after a time, or just before the process opens a file to write, renames, deletes or makes something: just
there a folder could be left half changed. The process here must start no threads, for a fork would lose them.
"""

import gc
import importlib
import os
import pickle
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import DAINR
from dainr.io.scans.reader_process import idle_process
from dainr.studies.batch.forking import NEEDED

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
FAILED = 70  # the exit code of a command that raised
CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "os.link", "os.symlink")


@dataclass(frozen=True)
class Kill:
    """When a command is killed, with all that it started: after so many seconds, or just before its n-th change."""

    after_s: float | None = None
    at_change: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, or minus the signal that killed it, and how many changes of files it made."""

    seconds: float
    code: int
    changes: int = 0
    modules: tuple[str, ...] = field(default=(), repr=False)
    said: str = ""


def forked(arguments: Sequence[str], where: Path, kill: Kill = Kill()) -> Ended:
    """Run a command in a folder by a forked process, in a session of its own."""
    started = time.perf_counter()
    answers, theirs = os.pipe()
    said = where.parent / f"{where.name}.said"
    process = os.fork()
    if process == 0:
        code = FAILED
        try:
            os.close(answers)
            code = _command(arguments, where, kill, theirs, said)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)  # whatever befell: what follows is for the other process
    os.close(theirs)
    answer = b""
    with os.fdopen(answers, "rb", buffering=0) as pipe:
        if kill.after_s is not None and not select.select([pipe], [], [], kill.after_s)[0]:
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            os.kill(process, signal.SIGKILL)  # it may not have its session yet
        while part := pipe.read(2**16):
            answer += part
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # what it started
    changes, modules = pickle.loads(answer) if answer else (0, ())
    text = said.read_text(errors="replace")[-2000:] if said.is_file() else ""
    return Ended(time.perf_counter() - started, code, changes, modules, text)


def started(arguments: Sequence[str], where: Path, kill: Kill = Kill()) -> Ended:
    """The same by a Python of its own, as a user starts it; a kill comes after a time."""
    begun = time.perf_counter()
    with subprocess.Popen(
        [*DAINR, *arguments], cwd=where, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            process.wait(kill.after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return Ended(time.perf_counter() - begun, process.returncode)


def warm(modules: Sequence[str]) -> None:
    """Import what a command has imported, for those that follow."""
    for name in (*NEEDED, *modules):
        with suppress(Exception):  # some are made, not imported
            importlib.import_module(name)
    gc.freeze()  # commands collect garbage, which need not look at what is loaded
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "threads would be lost in forked processes"


def _command(arguments: Sequence[str], where: Path, kill: Kill, answers: int, said: Path) -> int:
    """In the forked process: the command; its exit code."""
    os.setsid()
    os.chdir(where)
    with said.open("wb") as file:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    changes = _Changes(str(where), kill.at_change)
    sys.addaudithook(changes)
    sys.argv = ["dainr", *arguments]
    try:
        importlib.import_module("dainr.cli").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = FAILED
    while reader := idle_process():  # not by what is registered at exit: that is the other process's, too
        reader.close()
    changes.at = None
    with os.fdopen(answers, "wb") as pipe:
        pickle.dump((changes.count, tuple(sys.modules)), pipe)
    sys.stderr.flush()
    return code


class _Changes:
    """An audit hook that counts changes in a folder, and kills the process and its group before one of them."""

    def __init__(self, folder: str, at: int | None) -> None:
        self.folder, self.at, self.count = folder, at, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not (event in CHANGES or (event == "open" and (arguments[2] or 0) & WRITES)):
            return
        path = arguments[0]
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if name.startswith("/") and not name.startswith(self.folder):
            return
        self.count += 1
        if self.count == self.at:
            os.killpg(0, signal.SIGKILL)
