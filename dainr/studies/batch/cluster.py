"""Many cases at once on the workers of a dask cluster that is there already. https://distributed.dask.org

A worker that dies gives its case to another, as often as the scheduler allows: three times, unless its own setting
distributed.scheduler.allowed-failures says otherwise. Cases that waited for the same worker count as tried, too: so
those of which all workers died are run once more in the end, one at a time.

Where a scheduler speaks TLS, the certificates are those of dask's own settings.
"""

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from dainr import __version__
from dainr.errors import BadRequest, DainrError
from dainr.machine.threads import usable_cores
from dainr.studies.batch.work import Job, Outcome, Watch, failed, fit_case

POLL_S = 0.25
LOST_AFTER_S = 10.0  # without the scheduler
PATIENCE_S = 10.0  # until it answers
NOBODY_S = 10.0  # between looks whether there are workers

log = logging.getLogger(__name__)


def run_jobs(jobs: Sequence[Job], scheduler: str, watch: Watch) -> list[Outcome]:
    """Fit every job on the workers of a scheduler, given by its address; as `engine.run_jobs`.

    Raises BadRequest when the scheduler cannot be reached, and DainrError when it is lost on the way: what was done is
    kept, and the same command goes on.
    """
    outcomes, suspects, alone = list[Outcome](), list[Job](), list[Job]()
    with _client(scheduler) as client:
        futures = {client.submit(_on_worker, job, pure=False): job for job in jobs}
        seen_at, workers = time.monotonic(), _Workers(client)
        while futures:
            if client.status == "running":
                seen_at = time.monotonic()
            # one whose status is "lost" was done by a worker that is gone: the scheduler gives it to another
            forgotten = any(future.status == "cancelled" for future in futures)
            if forgotten or time.monotonic() - seen_at > LOST_AFTER_S:
                raise DainrError(
                    "the scheduler", f"it is gone, with {len(futures)} cases to do", "run the same command again"
                )
            for future in [f for f in futures if f.status in ("finished", "error")]:
                job = futures.pop(future)
                if job not in alone and _workers_died(future):
                    suspects.append(job)
                else:
                    outcomes.append(_outcome(future, job))
            if not futures and suspects:
                alone.append(suspects.pop())
                futures = {client.submit(_on_worker, alone[-1], pure=False): alone[-1]}
            watch(jobs, outcomes)
            workers.look(len(futures))
            time.sleep(POLL_S)
    return outcomes


class _Workers:
    """Says once when a scheduler has none, or none any more: cases then wait for some, however long."""

    def __init__(self, client: Any) -> None:
        self.client, self._looked_at, self._are_gone = client, time.monotonic(), False

    def look(self, n_left: int) -> None:
        """Look whether there are any, now and then; so many cases are left for them."""
        if not n_left or self.client.status != "running" or time.monotonic() - self._looked_at < NOBODY_S:
            return
        self._looked_at, before = time.monotonic(), self._are_gone
        with suppress(OSError, TimeoutError):  # the scheduler is about to be lost
            self._are_gone = not self.client.nthreads()
        if self._are_gone and not before:
            log.warning("the scheduler has no workers: %d cases wait for some; Ctrl-C leaves them for later", n_left)


def _on_worker(job: Job) -> Outcome:
    return fit_case(job, _threads_of_worker())


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


def _workers_died(future: Any) -> bool:
    return future.status == "error" and type(future.exception()).__name__ == "KilledWorker"


def _outcome(future: Any, job: Job) -> Outcome:
    if future.status == "finished":
        return future.result()
    error = future.exception()
    if _workers_died(future):
        return failed(job, f"the workers it was given to died, {error.allowed_failures + 1} of them; is memory short?")
    return failed(job, f"its worker failed ({error})")


@contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    import dask
    from distributed import Client

    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # each has a level of its own
    where = f"--scheduler {scheduler}"
    settings = {"distributed.admin.low-level-log-length": 0, "distributed.comm.timeouts.connect": "5s"}
    with dask.config.set(settings):
        try:
            asyncio.run(asyncio.wait_for(_reach(scheduler), PATIENCE_S))  # the client would wait for ever for some
            client = Client(scheduler, timeout=PATIENCE_S)
        except (OSError, ValueError, TypeError, TimeoutError) as error:  # TypeError: TLS without certificates
            raise BadRequest(
                where,
                "no scheduler answers there, or not without other certificates",
                "start dask scheduler, or name dask's TLS certificates (docs/batch.md)",
            ) from error
        with client:
            _check_versions(client.run(_version, on_error="return"), where)
            yield client


async def _reach(scheduler: str) -> None:
    """Whether a program answers there as dask's do."""
    from distributed.comm import connect
    from distributed.security import Security

    await (await connect(scheduler, timeout=PATIENCE_S, **Security().get_connection_args("client"))).close()


def _version() -> str:
    """Runs on a worker."""
    return __version__


def _check_versions(found: dict[str, Any], where: str) -> None:
    """Raises BadRequest where workers have another version, or none, whose answers would be others."""
    others = sorted({told if isinstance(told, str) else "none" for told in found.values()} - {__version__})
    if others:
        raise BadRequest(
            where,
            f"its workers have version {' and '.join(others)} of dainr, and this is {__version__}",
            "install this one where they run",
        )
