"""The process in which fits run one after another: it stays warm; where a fit has failed another takes its place."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from dainr.errors import Interrupted
from dainr.studies.batch.forking import ForkedCommand, Forker

PROGRAM = "dainr.cli.served"  # what it runs; by name, for nothing here imports it
CALLED_OFF = b"off\n"  # in place of a job: the scan that it reads along will not come to its end
CALLED_OFF_S = 0.5  # in which it must have heard
DONE = b"\n"  # what it answers; it says no more of a fit that failed than its last words, and ends


@dataclass(frozen=True)
class Job:
    """A fit of a stream, which may still grow, into the folder of a run."""

    stream: str
    sha256: str
    folder: str
    options: Mapping[str, Any]  # of dainr fit, by name
    resume: bool = False  # the run that is there
    slices: str = ""  # folder for slices that are made before the others, of scans of several


class FitFailed(Exception):
    """A fit that ended with an error; its text is what it said."""


class Worker:
    """The process, and the one job that it has at a time.

    `forker` forks it, where there is one that can; else it is started. `first`: options of dainr fit, by name, by which
    it fits a phantom while it has nothing to do, so that what a first fit waits for is there.
    """

    def __init__(self, forker: Forker | None, environment: Mapping[str, str], first: Mapping[str, Any]) -> None:
        self.jobs = 0
        self._ended_by_us, self._said = False, b""
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = _start(forker, environment, ["work", json.dumps(dict(first))], theirs.fileno())
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def is_there(self) -> bool:
        """Whether it has not ended."""
        return self._listener.is_alive()

    def begin(self, job: Job) -> None:
        """Let it fit; `finish` tells how that ended."""
        self.jobs += 1
        with suppress(OSError):  # it has ended: that is told in the end
            self._socket.sendall(json.dumps(asdict(job)).encode() + b"\n")

    def finish(self, limit_s: float) -> None:
        """Wait for the end of its job.

        Raises FitFailed with the sentence that the fit said, and Interrupted where it was ended.
        """
        self._socket.settimeout(limit_s)
        try:
            if self._socket.recv(len(DONE)) == DONE:
                return
        except TimeoutError:
            self.close(at_once=True)
            raise FitFailed(f"dainr: it took longer than {limit_s:g} s.") from None
        except OSError:  # its end of the socket has gone
            pass
        self._listener.join()
        code = self._process.returncode or 0
        if self._ended_by_us:
            raise Interrupted("the fit", "it was ended", "send the scan again")
        raise FitFailed(_sentence(self._said.decode(errors="replace"), code))

    def call_off(self) -> None:
        """The scan of its job will not come to its end; where it is in the middle of a fit it is ended."""
        self._socket.settimeout(CALLED_OFF_S)
        try:
            self._socket.sendall(CALLED_OFF)
            if self._socket.recv(len(DONE)) == DONE:
                return
        except OSError:
            pass
        self.close()

    def end(self) -> None:
        """Ask it to end: a fit saves its state."""
        self._ended_by_us = True
        self._process.terminate()

    def close(self, at_once: bool = False) -> None:
        """End it, and wait until it has ended."""
        self._ended_by_us = True
        if self.is_there:
            self._process.kill() if at_once else self._process.terminate()
        self._listener.join()
        self._socket.close()

    def _listen(self) -> None:
        """Take what it says, in a thread, until it has ended."""
        with self._process:
            _, self._said = self._process.communicate()


def _start(
    forker: Forker | None, environment: Mapping[str, str], arguments: list[str], stdin: int
) -> "ForkedCommand | subprocess.Popen[bytes]":
    if forker is not None and (command := forker.start(arguments, {}, stdin)) is not None:
        return command
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; from {PROGRAM} import main; main()", *arguments],
        env=environment,
        stdin=stdin,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _sentence(said: str, code: int) -> str:
    """What a failed fit said in the end."""
    lines = [line for line in said.splitlines() if line.startswith("dainr: ")] or said.strip().splitlines()[-1:]
    return lines[-1] if lines else f"dainr: the fit was killed ({code}); is memory short?"
