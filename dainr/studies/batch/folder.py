"""A whole batch: cases whose outcome is known are left alone, the others fitted, and all summed up."""

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest
from dainr.studies.batch.engine import Watch, Workers, run_jobs
from dainr.studies.batch.index import CASES, SUMMARY, check_own, present, read_index, write_index
from dainr.studies.batch.summary import write_summary
from dainr.studies.batch.work import Job, known_outcome


def fit_folder(
    jobs: Sequence[Job], out: Path, hire: Callable[[Sequence[Job]], Workers], watch: Watch
) -> list[dict[str, Any]]:
    """Fit the jobs of a batch that are not done yet and write its summary into the folder `out`; the summary's rows.

    `hire` gives the workers for the jobs that are left, if there are any; what it raises ends the batch before anything
    runs. Raises BadRequest while another batch is at work in the folder, and where something in it that no batch wrote
    would be replaced, and what `run_jobs` raises.
    """
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out):
        index = read_index(out)
        wanted = {
            CASES,
            *SUMMARY,
            *(name for job in jobs for name in (job.case.name, *map(job.exported_name, job.export))),
        }
        check_own(out, index, wanted)
        known = [outcome for outcome in map(known_outcome, jobs) if outcome is not None]
        names = {outcome.name for outcome in known}
        left = [job for job in jobs if job.case.name not in names]
        workers = hire(left) if left else None
        index.names |= {job.case.key: job.case.name for job in jobs}
        write_index(out, replace(index, files=index.files | wanted))
        outcomes = (
            [] if workers is None else run_jobs(left, replace(workers, count=min(workers.count, len(left))), watch)
        )
        rows = write_summary(out, jobs, known + outcomes)
        write_index(out, replace(index, files=(index.files | wanted) & present(out)))
        return rows


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises BadRequest while another batch holds it."""
    with (out / ".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BadRequest(
                str(out), "another batch is at work in it", "wait for it or name another folder"
            ) from error
        except OSError as error:
            raise BadRequest(
                str(out), f"its file system has no locks ({error.strerror})", "name a folder on another"
            ) from error
        yield
