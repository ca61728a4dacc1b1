"""Fits of streams, in processes forked from ones that have imported what a fit needs: so many at once."""

import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

from dainr.errors import BadRequest, Interrupted
from dainr.machine.threads import usable_cores
from dainr.studies.batch.forking import CAN_FORK, ForkedCommand, Forker

PROGRAM = "dainr.cli.served"  # what is forked; by name, for nothing here imports it
POLL_S, SAID_AFTER_S = 0.25, 5.0


Ending = Callable[[Callable[[], None]], AbstractContextManager[None]]


@dataclass(frozen=True)
class Job:
    """A fit of a stream into the folder of a run."""

    stream: str
    sha256: str
    folder: str
    options: Mapping[str, Any]  # of dainr fit, by name
    resume: bool = False  # the run that is there


class FitFailed(Exception):
    """A fit that ended with an error; its text is what it said."""


class Place:
    """Where one fit runs at a time."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._forker: Forker | None = Forker(environment, PROGRAM, apart=True) if CAN_FORK else None

    def fit(self, job: Job, limit_s: float, ending: Ending) -> None:
        """Fit; `ending` gives a block in which what it is given ends the fit early.

        Raises FitFailed with the sentence that the fit said, and Interrupted where it was ended.
        """
        process, ended = self._start(["fit", json.dumps(asdict(job))]), threading.Event()

        def end() -> None:
            ended.set()
            process.terminate()

        with process:
            try:
                with ending(end):
                    _, said = process.communicate(timeout=limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise FitFailed(f"dainr: it took longer than {limit_s:g} s.") from None
            finally:
                if self._forker is not None:
                    self._forker.is_busy = False
        if ended.is_set() and process.returncode:
            raise Interrupted("the fit", "it was ended", "send the scan again")
        if process.returncode:
            raise FitFailed(_sentence(said.decode(errors="replace"), process.returncode))

    def close(self) -> None:
        """End what forks."""
        if self._forker is not None:
            self._forker.close()

    def _start(self, arguments: list[str]) -> "ForkedCommand | subprocess.Popen[bytes]":
        if self._forker is not None:
            if not self._forker.is_there:
                self._forker = Forker(self._environment, PROGRAM, apart=True)
            command = self._forker.start(arguments, {})
            if command is not None:
                self._forker.is_busy = True
                return command
        program = f"import sys; from {PROGRAM} import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )


class Places:
    """So many fits at once; who comes when all are at work waits for a place."""

    def __init__(self, count: int) -> None:
        if count < 1:
            raise BadRequest(f"--jobs {count}", "it is not a number of jobs", "choose 1 or more")
        threads = str(max(1, usable_cores() // count))
        share = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads} if count > 1 else {}
        self._all = [Place({**os.environ, **share}) for _ in range(count)]
        self._free: queue.SimpleQueue[Place] = queue.SimpleQueue()
        for place in self._all:
            self._free.put(place)

    def take(self, given_up: threading.Event, waits: Callable[[], None] = lambda: None) -> Place:
        """A place, once there is one; `waits` is called where that takes a while. Raises Interrupted once given up."""
        says_at = time.monotonic() + SAID_AFTER_S
        while not given_up.is_set():
            try:
                return self._free.get(timeout=POLL_S)
            except queue.Empty:
                if time.monotonic() > says_at:
                    says_at = math.inf
                    waits()
        raise Interrupted("the fit", "it was given up", "send the scan again")

    def give_back(self, place: Place) -> None:
        """Let another have it."""
        self._free.put(place)

    def close(self) -> None:
        """End what forks."""
        for place in self._all:
            place.close()


def _sentence(said: str, code: int) -> str:
    """What a failed fit said in the end."""
    lines = [line for line in said.splitlines() if line.startswith("dainr: ")] or said.strip().splitlines()[-1:]
    return lines[-1] if lines else f"dainr: the fit was killed ({code}); is memory short?"
