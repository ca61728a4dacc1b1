"""Many cases at once, on workers of dask.distributed: processes of this machine, or a cluster that is there already.

A worker that dies gives its case to another; a case whose worker died twice has failed. https://distributed.dask.org
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dainr.errors import BadRequest, DainrError
from dainr.machine.threads import usable_cores
from dainr.studies.batch.work import Job, Outcome, fit_case

POLL_S = 0.25
LOST_AFTER_S = 10.0  # without the scheduler

Watch = Callable[[Sequence[Job], list[Outcome]], None]


@dataclass(frozen=True)
class Workers:
    """Who fits: `count` processes of this machine, or a cluster's workers.

    The processes take the CUDA devices in turn that CUDA_VISIBLE_DEVICES calls `gpus`, one each; without any they see
    what this one sees, as a cluster's workers do.
    """

    count: int
    gpus: tuple[str, ...] = ()
    scheduler: str | None = None  # the address of the cluster's

    def __post_init__(self) -> None:
        if self.count < 1:
            raise BadRequest(f"--jobs {self.count}", "it is not a number of jobs", "choose 1 or more, or leave it out")


def run_jobs(jobs: Sequence[Job], workers: Workers, watch: Watch) -> list[Outcome]:
    """Fit every job and return the outcomes as they came; `watch` sees the jobs and the outcomes so far, often.

    Local workers share the processor's threads.

    Raises BadRequest when the scheduler cannot be reached, and DainrError when it is lost on the way: what was done is
    kept, and the same command goes on.
    """
    if not jobs:
        return []
    outcomes: list[Outcome] = []
    with _client(workers) as client:
        local = 0 if workers.scheduler else workers.count
        futures = {client.submit(_on_worker, job, workers.gpus, local, pure=False): job for job in jobs}
        seen_at = time.monotonic()
        while futures:
            if client.status == "running":
                seen_at = time.monotonic()
            forgotten = any(future.status in ("cancelled", "lost") for future in futures)
            if forgotten or time.monotonic() - seen_at > LOST_AFTER_S:
                raise DainrError(
                    "the scheduler", f"it is gone, with {len(futures)} cases to do", "run the same command again"
                )
            for future in [f for f in futures if f.status in ("finished", "error")]:
                outcomes.append(_outcome(future, futures.pop(future)))
            watch(jobs, outcomes)
            time.sleep(POLL_S)
    return outcomes


def _on_worker(job: Job, gpus: Sequence[str], local_workers: int) -> Outcome:
    """Runs on a worker: local workers are numbered, and take the devices in turn."""
    from distributed import get_worker

    name = get_worker().name
    gpu = gpus[name % len(gpus)] if gpus and isinstance(name, int) else None
    return fit_case(job, max(1, usable_cores() // local_workers) if local_workers else _threads_of_worker(), gpu)


def _threads_of_worker() -> int:
    """A cluster's worker has the cores it is bound to, or else shares its machine's with the other workers there."""
    from distributed import get_client, get_worker

    if usable_cores() < (os.cpu_count() or 1):
        return usable_cores()
    hosts = get_client().run_on_scheduler(_hosts)
    return max(1, usable_cores() // max(hosts.count(get_worker().address.rpartition(":")[0]), 1))


def _hosts(dask_scheduler: Any) -> list[str]:
    """Where each worker is; runs on the scheduler."""
    return [address.rpartition(":")[0] for address in dask_scheduler.workers]


def _outcome(future: Any, job: Job) -> Outcome:
    if future.status == "finished":
        return future.result()
    error = future.exception()
    killed = type(error).__name__ == "KilledWorker"
    why = "its worker died twice; is memory short?" if killed else f"its worker failed ({error})"
    return Outcome(job.case.name, str(job.case.path), {}, "failed", why, 1)


@contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    import dask
    from distributed import Client, LocalCluster

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # each has a level of its own
    settings = {
        "distributed.scheduler.allowed-failures": 1,
        "distributed.admin.low-level-log-length": 0,
        "distributed.comm.timeouts.connect": "5s",
    }
    with dask.config.set(settings):
        if workers.scheduler is None:
            with (
                LocalCluster(
                    n_workers=workers.count,
                    threads_per_worker=1,
                    memory_limit=0,
                    dashboard_address="127.0.0.1:0",  # any free port: two batches may run at a time
                    silence_logs=50,
                ) as cluster,
                Client(cluster) as client,
            ):
                yield client
            return
        try:
            client = Client(workers.scheduler, timeout=5)
        except (OSError, ValueError, TimeoutError) as error:
            raise BadRequest(
                f"--scheduler {workers.scheduler}", "no scheduler answers there", "start dask scheduler"
            ) from error
        with client:
            yield client
