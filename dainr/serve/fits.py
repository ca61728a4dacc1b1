"""Fits of streams: so many at once, each in a process that is ready for it."""

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from dainr.errors import BadRequest, Interrupted
from dainr.machine.threads import usable_cores
from dainr.serve.worker import PROGRAM, FitFailed, Job, Worker
from dainr.studies.batch.forking import CAN_FORK, Forker

POLL_S, SAID_AFTER_S = 0.25, 5.0
MOST_JOBS = 50  # of one process: what memory it may have lost is then given back

Ending = Callable[[Callable[[], None]], AbstractContextManager[None]]

__all__ = ["FitFailed", "Job", "Place", "Places"]


class Place:
    """Where one fit runs at a time. A process waits there, warm by a fit of a phantom as `first` says."""

    def __init__(self, environment: Mapping[str, str], first: Mapping[str, Any]) -> None:
        self._environment, self._first = dict(environment), dict(first)
        self._forker: Forker | None = Forker(environment, PROGRAM, apart=True) if CAN_FORK else None
        self._lock, self._closed = threading.Lock(), False
        self._worker: Worker | None = None
        threading.Thread(target=self._ready, daemon=True).start()

    def fit(self, job: Job, limit_s: float, ending: Ending) -> None:
        """Fit; `ending` gives a block in which what it is given ends the fit early.

        Raises FitFailed with the sentence that the fit said, and Interrupted where it was ended.
        """
        worker = self._ready()
        worker.begin(job)
        try:
            with ending(worker.end):
                worker.finish(limit_s)
        finally:
            if not worker.is_there or worker.jobs >= MOST_JOBS:
                threading.Thread(target=self._ready, daemon=True).start()

    def close(self) -> None:
        """End its process, and what forks it."""
        with self._lock:
            self._closed = True
            if self._worker is not None:
                self._worker.close()
            if self._forker is not None:
                self._forker.close()

    def _ready(self) -> Worker:
        """The process, a new one where it has ended. Raises Interrupted once the place is closed."""
        with self._lock:
            if self._closed:
                raise Interrupted("the fit", "the server has ended", "send the scan again")
            if self._worker is not None and (not self._worker.is_there or self._worker.jobs >= MOST_JOBS):
                self._worker.close()
                self._worker = None
            if self._worker is None:
                if self._forker is not None and not self._forker.is_there:
                    self._forker = Forker(self._environment, PROGRAM, apart=True)
                self._worker = Worker(self._forker, self._environment, self._first)
            return self._worker


class Places:
    """So many fits at once; who comes when all are at work waits for a place."""

    def __init__(self, count: int, first: Mapping[str, Any]) -> None:
        if count < 1:
            raise BadRequest(f"--jobs {count}", "it is not a number of jobs", "choose 1 or more")
        threads = str(max(1, usable_cores() // count))
        share = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads} if count > 1 else {}
        self._all = [Place({**os.environ, **share}, first) for _ in range(count)]
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
