"""Commands in processes forked from one that has imported what they need: a case then takes its own time alone.

Each command is still a process of its own, which may crash, be killed or use up memory, and harms no other. The one
that is forked talks with the batch by a pair of sockets that nobody else has, and ends with it.
"""

import ctypes
import gc
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO

COMMANDS = "dainr.cli"  # runs a command; by name, for nothing here imports it
# what commands import and wait for; it starts no thread, for a fork would lose it
PROGRAM = (COMMANDS, "dainr.runs.run", "dainr.export", "dainr.methods.dainr.method", "dainr.kernels.ready")
NEEDED = (*PROGRAM, "finufft", "scipy.ndimage", "scipy.linalg")
SERVE = "import sys; sys.path[:] = sys.argv[2:]; from dainr.studies.batch.forking import serve; serve(sys.argv[1])"
OF_COMMANDS = (
    signal.SIGINT,
    signal.SIGHUP,
)  # Ctrl-C, and a terminal that is closed
LONGEST = 2**16  # bytes of a question
PARENT_DEATH_SIGNAL, NAME = 1, 15  # of prctl(2)
CAN_FORK = sys.platform == "linux" and hasattr(os, "pidfd_open")  # elsewhere libraries do not bear it

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # found here: a forked child should not look


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the thread that started it dies: a fit then saves its state and ends."""
    if _prctl is not None:
        _prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)


class Forker:
    """A process that forks one command at a time: what the module `program` does by its `main`.

    `apart`: Ctrl-C is for who started it alone, and not for its commands.
    """

    def __init__(self, environment: Mapping[str, str], program: str = COMMANDS, apart: bool = False) -> None:
        self.is_busy = False  # a command of it runs
        self._questions, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVE, program, *(folder or str(Path.cwd()) for folder in sys.path)],
                env=environment,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=end_with_parent,
                start_new_session=apart,
            )

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], stdin: int | None = None
    ) -> "ForkedCommand | None":
        """A command that runs, with these variables beside what the process has; None where it can fork none.

        `stdin`: an open file that it has as that.
        """
        said, theirs = os.pipe()
        files = [theirs] if stdin is None else [theirs, stdin]
        try:
            socket.send_fds(self._questions, [pickle.dumps((Path.cwd(), arguments, dict(environment)))], files)
            begun = self._questions.recv(LONGEST)
        except OSError:
            begun = b""
        finally:
            os.close(theirs)
        if begun == BEGUN:
            self.is_busy = True
            return ForkedCommand(self._questions, os.fdopen(said, "rb", buffering=0), self.wake)
        os.close(said)
        return None

    @property
    def is_there(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wake(self) -> None:
        """Let the process go on where somebody has stopped it: it would hear nothing."""
        self._process.send_signal(signal.SIGCONT)

    def end_if_idle(self) -> None:
        """End the process unless it has a command running, which would not be waited for."""
        if not self.is_busy:
            self._process.terminate()
            self.wake()

    def close(self) -> None:
        """End the process, and the command it runs: as by SIGTERM, for it ends with its parent."""
        self._process.terminate()
        self.wake()
        self._process.wait()
        self._questions.close()


BEGUN = b"begun"


class ForkedCommand:
    """A command of a forked process; as `subprocess.Popen` where its user looks."""

    def __init__(self, process: socket.socket, said: IO[bytes], wake: Callable[[], None]) -> None:
        self._process, self._said, self._wake = process, said, wake
        self.returncode: int | None = None

    def __enter__(self) -> "ForkedCommand":
        return self

    def __exit__(self, *_: object) -> None:
        self._said.close()
        if self.returncode is None:
            self._wait()

    def communicate(self, timeout: float | None = None) -> tuple[None, bytes]:
        """What it said on stderr, once it has ended. Raises subprocess.TimeoutExpired."""
        process, pipe = self._process.fileno(), self._said.fileno()
        said, waited_for = b"", [process, pipe]
        ends_at = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if ends_at is None else max(ends_at - time.monotonic(), 0.0)
            ready = select.select(waited_for, [], [], left)[0]
            if not ready:
                raise subprocess.TimeoutExpired("dainr", timeout or 0.0)
            if process in ready:
                self._wait()
                os.set_blocking(pipe, False)  # what it started may have it open still
            if pipe in ready or self.returncode is not None:
                part = self._said.read(LONGEST) or b""
                said += part
                waited_for = waited_for if part else [process]
        return None, said

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(OSError):  # it has ended
            self._process.send(str(int(number)).encode())
        self._wake()

    def _wait(self) -> None:
        try:
            told = self._process.recv(LONGEST)
        except OSError:
            told = b""
        self.returncode = int(told) if told else -signal.SIGKILL  # the process that forked it is gone, and it with that


def serve(program: str) -> None:
    """The process that is forked: commands one after another, until the batch asks no more."""
    hangs_up = signal.getsignal(signal.SIGHUP)
    for number in OF_COMMANDS:
        signal.signal(number, signal.SIG_IGN)
    questions = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for module in (program, *NEEDED):
        import_module(module)
    gc.freeze()  # every slice ends with a collection of garbage, which need not look at what is loaded
    while True:
        question, files, *_ = socket.recv_fds(questions, LONGEST, 2)
        if not question:
            return
        if not files:  # a signal for one that had ended
            continue
        parent, process = os.getpid(), os.fork()
        if process == 0:
            questions.close()
            signal.signal(signal.SIGHUP, hangs_up)
            _command(program, question, files, parent)
            return
        for file in files:
            os.close(file)
        questions.send(BEGUN)
        _attend(process, questions)


def _attend(process: int, questions: socket.socket) -> None:
    """Pass signals on to a forked process until it has ended, and tell how."""
    handle, from_batch = os.pidfd_open(process), questions.fileno()
    while True:
        ready, *_ = select.select([handle, from_batch], [], [])
        if handle in ready:
            break
        told = questions.recv(LONGEST)
        os.kill(process, int(told) if told else signal.SIGTERM)
        os.kill(process, signal.SIGCONT)  # where somebody has stopped it, it would not end
        if not told:  # the batch is gone
            os.waitpid(process, 0)
            return
    os.close(handle)
    questions.send(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())


def _command(program: str, question: bytes, files: Sequence[int], parent: int) -> None:
    """In the forked process: the command, as if it had been started."""
    end_with_parent()
    folder, arguments, environment = pickle.loads(question)
    if os.getppid() != parent:  # it died just now
        return
    if _prctl is not None:
        _prctl(NAME, f"dainr {arguments[0]}".encode())
    for file, handle in zip(files, (2, 0), strict=False):
        os.dup2(file, handle)
        os.close(file)
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115 - as at a start
    os.chdir(folder)
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["dainr", *arguments]
    import_module(program).main()
