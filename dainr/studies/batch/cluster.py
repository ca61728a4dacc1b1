"""Many cases at once on the workers of a dask cluster that is there already. https://distributed.dask.org

A worker that dies gives its case to another, as often as the scheduler allows: three times, unless its own setting
distributed.scheduler.allowed-failures says otherwise. Where a scheduler speaks TLS, the certificates are those of
dask's own settings.
"""

import asyncio
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from dainr import __version__
from dainr.errors import BadRequest, DainrError
from dainr.machine.threads import usable_cores
from dainr.studies.batch.work import Job, Outcome, Watch, failed, fit_case

POLL_S = 0.25
LOST_AFTER_S = 10.0  # without the scheduler
PATIENCE_S = 10.0  # until it answers


def run_jobs(jobs: Sequence[Job], scheduler: str, watch: Watch) -> list[Outcome]:
    """Fit every job on the workers of a scheduler, given by its address; as `engine.run_jobs`.

    Raises BadRequest when the scheduler cannot be reached, and DainrError when it is lost on the way: what was done is
    kept, and the same command goes on.
    """
    outcomes: list[Outcome] = []
    with _client(scheduler) as client:
        futures = {client.submit(_on_worker, job, pure=False): job for job in jobs}
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


def _outcome(future: Any, job: Job) -> Outcome:
    if future.status == "finished":
        return future.result()
    error = future.exception()
    if type(error).__name__ == "KilledWorker":
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
