"""Reading a scan in a process of its own.

The libraries below the readers, HDF5's above all, can crash or turn in circles on a damaged file; here that ends in one
sentence. And while the other process reads, this one has its hands free: a program imports what the fit needs.
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

import numpy as np
from jaxtyping import Bool

from dainr import spool
from dainr.checksum import file_sha256, files_sha256
from dainr.errors import BadScan, DainrError
from dainr.io import bart
from dainr.scan import Scan

SCAN, MASK = "dainr.io.formats.read", "dainr.io.mask.read_mask"  # what reads a file; who waits imports none of it
SERVE = "import sys; sys.path[:] = sys.argv[1:]; from dainr.io.reading import serve; serve()"
PATIENCE_S, BYTES_PER_S = 60.0, 5e6  # a sound file takes no longer than this and its size over a slow disk's rate
LOST = "its reader crashed or found no end: it is damaged, or too large for this machine"
IDLE_S = 5.0  # how long a process waits for another file
LONGEST = 2**16  # bytes of a question


class Reading:
    """A scan file that is being read."""

    def __init__(self, path: str | Path, reader: str = SCAN) -> None:
        self.path = Path(path)
        self._process = _idle_process() or _Process()
        self._process.ask(self.path, reader)

    def scan(self) -> Scan:
        """The scan, once it is there; to be asked for once.

        Raises BadScan when the file is missing, damaged, of no known format, or holds no valid scan.
        """
        return self.result()

    def result(self) -> Any:
        """What the reader returns, as `scan`."""
        size = self.path.stat().st_size if self.path.is_file() else 0
        answer = self._process.answer(PATIENCE_S + size / BYTES_PER_S)
        if answer is None:
            raise BadScan(str(self.path), LOST, "copy or export it again")
        if isinstance(answer, BaseException):
            raise answer
        return answer


def scan_sha256(path: Path) -> str:
    """SHA-256 of what a scan is read from: of its file, or of all of BART's files together."""
    return files_sha256(bart.files(path)) if bart.recognises(path) else file_sha256(path)


def load(path: str | Path) -> Scan:
    """Read the scan in a file of any known format.

    Raises BadScan when the file is missing, damaged, of no known format, or holds no valid scan, BadRequest where there
    is no room for the temporary file that its arrays lie in.
    """
    return Reading(path).scan()


def load_mask(path: str | Path) -> Bool[np.ndarray, "x y frame"]:
    """A sampling mask, as `dainr.io.mask.read_mask`, read like a scan."""
    return Reading(path, MASK).result()


class _Process:
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

    def ask(self, path: Path, reader: str) -> None:
        """Have a file read; one that cannot even be asked for has no answer."""
        self._stay()
        self._arrays = spool.new_file()
        try:
            socket.send_fds(self._questions, [pickle.dumps((Path.cwd(), path, reader))], [self._arrays.fileno()])
        except OSError:
            self.close()

    def answer(self, seconds: float) -> Any:
        """What came of it, a scan or an exception, or None: the process crashed, or took longer than that."""
        limit = threading.Timer(seconds, self._process.kill)
        limit.start()
        try:
            pickled, places = pickle.load(self._process.stdout)  # type: ignore[arg-type]
            with self._arrays as arrays:  # type: ignore[union-attr]
                answer = spool.load(pickled, places, arrays)
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


_idle: list[_Process] = []


def _idle_process() -> _Process | None:
    try:
        return _idle.pop()
    except IndexError:
        return None


@atexit.register
def _close_all() -> None:
    while process := _idle_process():
        process.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle.clear)  # they belong to the parent


def _reader(name: str) -> Callable[[Path], Any]:
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module), function)


def serve() -> None:
    """The other process: answers with scans and exceptions until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    questions, answers = socket.socket(fileno=sys.stdin.fileno()), os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    _reader(SCAN)  # while the first question is on its way
    while True:
        question, files, *_ = socket.recv_fds(questions, LONGEST, 1)
        if not question:
            return
        folder, path, reader = pickle.loads(question)
        with os.fdopen(files[0], "wb") as arrays:
            try:
                os.chdir(folder)
                answer = spool.dump(_reader(reader)(path), arrays)
            except DainrError as error:
                answer = spool.dump(error, arrays)
            except Exception:  # a mistake of the program's own
                answer = spool.dump(RuntimeError(traceback.format_exc()), arrays)
        pickle.dump(answer, answers)
        answers.flush()
