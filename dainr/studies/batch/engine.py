"""Many cases at once: on threads of this process, each of which waits for a fit, or on a cluster that is there already.

Nothing listens on this machine: no other user, and no other program, can hand work to a batch.
"""

import queue
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from dainr.errors import BadRequest
from dainr.machine.threads import usable_cores
from dainr.studies.batch import cluster
from dainr.studies.batch.work import Job, Outcome, Watch, commands_of_a_batch, failed, fit_case

POLL_S = 0.25


@dataclass(frozen=True)
class Workers:
    """Who fits: `count` cases at once on this machine, or a cluster's workers.

    The former take the CUDA devices in turn that CUDA_VISIBLE_DEVICES calls `gpus`, one each; without any they see
    what this process sees, as a cluster's workers do.
    """

    count: int
    gpus: tuple[str, ...] = ()
    scheduler: str | None = None  # the address of the cluster's

    def __post_init__(self) -> None:
        if self.count < 1:
            raise BadRequest(f"--jobs {self.count}", "it is not a number of jobs", "choose 1 or more, or leave it out")


def run_jobs(jobs: Sequence[Job], workers: Workers, watch: Watch) -> list[Outcome]:
    """Fit every job and return the outcomes as they came; `watch` sees the jobs and the outcomes so far, often.

    Cases at once on this machine share the processor's threads. Raises what `cluster.run_jobs` raises.
    """
    if not jobs:
        return []
    if workers.scheduler is not None:
        return cluster.run_jobs(jobs, workers.scheduler, watch)
    places: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(workers.count):
        places.put(place)
    outcomes: list[Outcome] = []
    with commands_of_a_batch() as stop, ThreadPoolExecutor(workers.count) as pool:
        futures = {pool.submit(_at_a_place, job, workers, places): job for job in jobs}
        try:
            while futures:
                for future in [future for future in futures if future.done()]:
                    outcomes.append(_outcome(future, futures.pop(future)))
                watch(jobs, outcomes)
                time.sleep(POLL_S if futures else 0.0)
        except BaseException:  # Ctrl-C, for one
            pool.shutdown(wait=False, cancel_futures=True)
            stop()
            raise
    return outcomes


def _at_a_place(job: Job, workers: Workers, places: "queue.SimpleQueue[int]") -> Outcome:
    """Fit a case with the share of the machine of one that is free: places are numbered, and take devices in turn."""
    place = places.get()
    try:
        gpu = workers.gpus[place % len(workers.gpus)] if workers.gpus else None
        return fit_case(job, max(1, usable_cores() // workers.count), gpu)
    finally:
        places.put(place)


def _outcome(future: "Future[Outcome]", job: Job) -> Outcome:
    error = future.exception()
    return future.result() if error is None else failed(job, f"its worker failed ({error})")
