"""The process that reads scans for another one, and how the two talk: questions by a socket, arrays by a file.

Who waits for it imports none of what reads a file, and numpy, which `disk` needs, only once it has started.
"""

import atexit
import importlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from dainr.errors import DainrError

SCAN, MASK = "dainr.io.scans.formats.read", "dainr.io.scans.mask.read_mask"  # what reads a file
SERVE = "import sys; sys.path[:] = sys.argv[1:]; from dainr.io.scans.reader_process import serve; serve()"
IDLE_S = 5.0  # how long a process waits for another file
LONGEST = 2**16  # bytes of a question


class ReaderProcess:
    """A Python that reads files, one after another."""

    def __init__(self) -> None:
        self._retirement: threading.Timer | None = None
        self._arrays: IO[bytes] | None = None  # of the answer that is awaited
        self._questions, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVE, *(folder or str(Path.cwd()) for folder in sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is for the program that waits
            )

    def __del__(self) -> None:
        self.close()

    def ask(self, path: Path, reader: str, *arguments: Any) -> None:
        """Have a file read; one that cannot even be asked for has no answer."""
        from dainr.machine import disk

        self._stay()
        self._arrays = disk.new_file()
        question = pickle.dumps((Path.cwd(), path, reader, arguments))
        try:
            socket.send_fds(self._questions, [question], [self._arrays.fileno()])
        except OSError:
            self.close()

    def answer(self, seconds: float) -> Any:
        """What came of it, a scan or an exception, or None: the process crashed, or took longer than that."""
        from dainr.machine import disk

        limit = threading.Timer(seconds, self._process.kill)
        limit.start()
        try:
            pickled, places = pickle.load(self._process.stdout)  # type: ignore[arg-type]
            with self._arrays as arrays:  # type: ignore[union-attr]
                answer = disk.load(pickled, places, arrays)
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            self.close()
            return None
        except BaseException:  # Ctrl-C: its answer must not be taken for that to another question
            self.close()
            raise
        finally:
            limit.cancel()
        retirement = self._retirement = threading.Timer(IDLE_S, self._retire)
        retirement.daemon = True
        _idle.append(self)
        retirement.start()
        return answer

    def close(self) -> None:
        """End the process."""
        self._stay()
        self._process.kill()
        self._process.wait()
        for end in (self._questions, self._process.stdout, self._arrays):
            if end is not None:
                end.close()

    def _stay(self) -> None:
        if self._retirement is not None:
            self._retirement.cancel()
            self._retirement = None  # it refers to this process, which must go once nobody else does

    def _retire(self) -> None:
        try:
            _idle.remove(self)
        except ValueError:  # asked again meanwhile
            return
        self.close()


_idle: list[ReaderProcess] = []


def idle_process() -> ReaderProcess | None:
    """A process that has answered and waits for another file, if there is one."""
    try:
        return _idle.pop()
    except IndexError:
        return None


@atexit.register
def _close_all() -> None:
    while process := idle_process():
        process.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they belong to the parent


def _reader(name: str) -> Callable[..., Any]:
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module), function)


def serve() -> None:
    """The other process: answers with scans and exceptions until nobody asks any more."""
    from dainr.machine import disk

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = socket.socket(fileno=sys.stdin.fileno()), os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    from dainr.io.hdf5 import unreadable

    _reader(SCAN)  # while the first question is on its way
    while True:
        question, files, *_ = socket.recv_fds(questions, LONGEST, 1)
        if not question:
            return
        folder, path, reader, arguments = pickle.loads(question)
        with os.fdopen(files[0], "wb") as arrays:
            try:
                os.chdir(folder)
                answer = disk.dump(_reader(reader)(path, *arguments), arrays)
            except DainrError as error:
                answer = disk.dump(error, arrays)
            except OSError as error:
                answer = disk.dump(unreadable(path, error), arrays)
            except Exception:  # a mistake of the program's own
                answer = disk.dump(RuntimeError(traceback.format_exc()), arrays)
        pickle.dump(answer, answers)
        answers.flush()
