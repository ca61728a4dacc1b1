"""Fits of streams: so many at once, each in a process that is ready for it."""

import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from dainr.errors import BadRequest, Interrupted
from dainr.machine.threads import usable_cores
from dainr.serve.worker import PROGRAM, FitFailed, Job, Worker
from dainr.studies.batch.forking import CAN_FORK, Forker

POLL_S, SAID_AFTER_S = 0.25, 5.0
MOST_JOBS = 50  # of one process: what memory it may have lost is then given back

Ending = Callable[[Callable[[], None]], AbstractContextManager[None]]

__all__ = ["FitFailed", "Job", "Loan", "Place", "Places"]


class Place:
    """Where one fit runs at a time. A process waits there, warm by a fit of a phantom as `first` says."""

    def __init__(self, environment: Mapping[str, str], first: Mapping[str, Any]) -> None:
        self._environment, self._first = dict(environment), dict(first)
        self._forker: Forker | None = Forker(environment, PROGRAM, apart=True) if CAN_FORK else None
        self._lock, self._closed = threading.Lock(), False
        self._worker: Worker | None = None
        threading.Thread(target=self._try_ready, daemon=True).start()

    def fit(self, job: Job, limit_s: float, ending: Ending) -> None:
        """Fit; `ending` gives a block in which what it is given ends the fit early.

        Raises FitFailed with the sentence that the fit said, and Interrupted where it was ended.
        """
        self.finish(self.begin(job), limit_s, ending)

    def begin(self, job: Job) -> Worker:
        """Let its process fit, which is given back; `finish` waits for that."""
        worker = self._ready()
        worker.begin(job)
        return worker

    def finish(self, worker: Worker, limit_s: float, ending: Ending) -> None:
        """Wait for the end of a fit that has begun. Raises as `fit`."""
        try:
            with ending(worker.end):
                worker.finish(limit_s)
        finally:
            self._replace(worker)

    def call_off(self, worker: Worker) -> None:
        """Let its process leave what it has begun, for the scan will not come to its end."""
        worker.call_off()
        self._replace(worker)

    def close(self) -> None:
        """End its process, and what forks it."""
        with self._lock:
            self._closed = True
            if self._worker is not None:
                self._worker.close()
            if self._forker is not None:
                self._forker.close()

    def _replace(self, worker: Worker) -> None:
        """Have another process where this one has ended, or should."""
        if not worker.is_there or worker.jobs >= MOST_JOBS:
            threading.Thread(target=self._try_ready, daemon=True).start()

    def _try_ready(self) -> None:
        with suppress(Interrupted, OSError):
            self._ready()

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
                    self._forker.close()
                    self._forker = Forker(self._environment, PROGRAM, apart=True)
                self._worker = Worker(self._forker, self._environment, self._first)
            return self._worker


class Loan:
    """A place for one whose scan is still coming, until another needs it whose scan is there."""

    def __init__(self, place: Place, give_back: Callable[[Place], None]) -> None:
        self.place = place
        self._give_back, self._lock, self._begun = give_back, threading.Lock(), threading.Event()
        self._worker: Worker | None = None
        self.is_over = False

    def begin(self, job: Job) -> None:
        """Let the place's process, once it is there, read along and make what can be made."""
        threading.Thread(target=self._begin, args=(job,), daemon=True).start()
        self._begun.wait()

    def _begin(self, job: Job) -> None:
        with self._lock:
            self._begun.set()
            if not self.is_over:
                with suppress(Interrupted):
                    self._worker = self.place.begin(job)

    def keep(self) -> Worker | None:
        """Keep the place from now on, with its process at work; None where it is lost, or the process has ended."""
        with self._lock:
            if not self.is_over and self._worker is not None and self._worker.is_there:
                self.is_over = True
                return self._worker
        self.end()
        return None

    def end(self) -> bool:
        """End what was begun and give the place back, unless the loan is over; whether it was not."""
        with self._lock:
            if self.is_over:
                return False
            self.is_over = True
            if self._worker is not None:
                self.place.call_off(self._worker)
            self._give_back(self.place)
            return True


class Places:
    """So many fits at once; who comes when all are at work waits for a place."""

    def __init__(self, count: int, first: Mapping[str, Any]) -> None:
        if count < 1:
            raise BadRequest(f"--jobs {count}", "it is not a number of jobs", "choose 1 or more")
        threads = str(max(1, usable_cores() // count))
        share = {"OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads} if count > 1 else {}
        self._all = [Place({**os.environ, **share}, first) for _ in range(count)]
        self._loans: list[Loan] = []
        self._free: queue.SimpleQueue[Place] = queue.SimpleQueue()
        for place in self._all:
            self._free.put(place)

    def take(self, given_up: threading.Event, waits: Callable[[], None] = lambda: None) -> Place:
        """A place, once there is one; `waits` is called where that takes a while. Raises Interrupted once given up."""
        says_at = time.monotonic() + SAID_AFTER_S
        while not given_up.is_set():
            with suppress(queue.Empty):
                return self._free.get_nowait()
            if self._take_away_a_loan():
                continue
            with suppress(queue.Empty):
                return self._free.get(timeout=POLL_S)
            if time.monotonic() > says_at:
                says_at = math.inf
                waits()
        raise Interrupted("the fit", "it was given up", "send the scan again")

    def borrow(self) -> Loan | None:
        """A place, if one is free, until somebody takes it whose scan is there."""
        try:
            loan = Loan(self._free.get_nowait(), self.give_back)
        except queue.Empty:
            return None
        self._loans = [other for other in self._loans if not other.is_over] + [loan]
        return loan

    def _take_away_a_loan(self) -> bool:
        """Whether there was one to take away, which frees its place."""
        return any(loan.end() for loan in self._loans)

    def give_back(self, place: Place) -> None:
        """Let another have it."""
        self._free.put(place)

    def close(self) -> None:
        """End what forks."""
        for place in self._all:
            place.close()
