"""The commands that cases of a batch run, so that all can be asked to end."""

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from dainr.errors import Interrupted
from dainr.studies.batch.forking import CAN_FORK, COMMANDS, ForkedCommand, Forker, end_with_parent

OF_A_COMMAND = "CUDA_VISIBLE_DEVICES"  # what may differ between commands that one process forks

Command = ForkedCommand | subprocess.Popen[bytes]


class Commands:
    """The commands that run, each asked for by a thread that waits for it."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._lock, self._running = threading.Lock(), set[Command]()
        self._of_thread, self._forkers, self._forking = threading.local(), list[Forker](), False

    def start(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Command:
        """A command that runs: forked within a batch, else a Python of its own. Raises Interrupted once it ends."""
        with self._lock:
            self._check()
            forker = self._forker(environment) if self._forking else None
        own = {OF_A_COMMAND: environment[OF_A_COMMAND]} if OF_A_COMMAND in environment else {}
        process: Command | None = None if forker is None else forker.start(arguments, own)
        with self._lock:
            if process is None:
                self._check()
                process = subprocess.Popen(
                    [sys.executable, "-m", COMMANDS, *arguments],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    preexec_fn=end_with_parent if sys.platform == "linux" else None,
                )
            self._running.add(process)
            if self.stopping.is_set():
                _end(process)
        return process

    def ended(self, process: Command) -> None:
        """Forget one that has ended; with it the process that forked it, if that is gone."""
        with self._lock:
            self._running.discard(process)
            forker = getattr(self._of_thread, "forker", None)
            if forker is not None:
                forker.is_busy = False
                if not forker.is_there:
                    self._of_thread.forker = None

    @contextmanager
    def of_a_batch(self) -> Iterator[Callable[[], None]]:
        """What asks all commands that run to end, so that none begins until the block has ended."""
        self._forking = CAN_FORK
        try:
            yield self.stop
        finally:
            self._forking = False
            for forker in self._forkers:
                forker.close()
            self._forkers.clear()
            self._of_thread = threading.local()
            self.stopping.clear()

    def stop(self) -> None:
        """A fit then saves its state and ends."""
        with self._lock:
            self.stopping.set()
            for process in self._running:
                _end(process)
            for forker in self._forkers:
                forker.end_if_idle()

    def _check(self) -> None:
        if self.stopping.is_set():
            raise Interrupted("interrupted", "the batch was stopped", "run the same command again")

    def _forker(self, environment: Mapping[str, str]) -> Forker:
        """This thread's."""
        forker = getattr(self._of_thread, "forker", None)
        if forker is None:
            forker = self._of_thread.forker = Forker(environment)
            self._forkers.append(forker)
        return forker


def _end(process: Command) -> None:
    """Ask it to end, also where somebody has stopped it."""
    process.terminate()
    if isinstance(process, subprocess.Popen):
        process.send_signal(signal.SIGCONT)
