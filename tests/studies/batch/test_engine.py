"""Workers: the share of a machine each takes, and what comes back from them."""

import os
from pathlib import Path
from types import SimpleNamespace

import distributed
import pytest

from dainr.errors import BadScan
from dainr.studies.batch import engine, work
from dainr.studies.batch.cases import Case
from dainr.studies.batch.work import CASES, Job, Outcome


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str | None]]:
    """Threads and device of every case that is fitted, on a worker of eight cores, the fourth of a machine of eight."""
    cases: list[tuple[int, str | None]] = []
    monkeypatch.setattr(engine, "fit_case", lambda _, threads, gpu: cases.append((threads, gpu)))
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(name=3, address="tcp://10.0.0.1:4000"))
    machine = SimpleNamespace(workers=["tcp://10.0.0.1:4000", "tcp://10.0.0.1:4001", "tcp://10.0.0.2:4000"])
    client = SimpleNamespace(run_on_scheduler=lambda asked: asked(machine))
    monkeypatch.setattr(distributed, "get_client", lambda: client)
    monkeypatch.setattr(engine, "usable_cores", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return cases


@pytest.mark.parametrize(
    ("gpus", "local", "share"),
    [((), 2, (4, None)), ((), 16, (1, None)), (("2", "GPU-8f"), 4, (2, "GPU-8f")), ((), 0, (4, None))],
)
def test_a_worker_takes_its_share(
    gpus: int, local: int, share: tuple[int, int | None], taken: list[tuple[int, str | None]]
) -> None:
    engine._on_worker(Job(Case("a", Path("a")), Path("o"), (), (), 0.0), gpus, local)
    assert taken == [share]


def test_a_worker_of_a_cluster_that_is_bound_to_cores_takes_all_of_them(
    taken: list[tuple[int, str | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    engine._on_worker(Job(Case("a", Path("a")), Path("o"), (), (), 0.0), (), 0)
    assert taken == [(8, None)]


def test_workers_bring_back_how_their_cases_ended(tmp_path: Path) -> None:
    """Processes of their own; the cases have ended before, so that nothing is fitted."""
    (tmp_path / "scan.h5").write_bytes(b"kspace")
    (tmp_path / CASES).mkdir()
    known = []
    for name, status, code in (("good", "done", 0), ("bad", "failed", BadScan.exit_code)):
        job = Job(Case(name, tmp_path / "scan.h5"), tmp_path, ("--seed", "1"), (), 0.0)
        job.run.mkdir()
        (job.run / "run.json").touch()
        known.append((job, Outcome(name, str(job.case.path), work._asked(job), status, exit_code=code)))
        work._write(*known[-1])
    jobs, ended = zip(*known, strict=True)
    counts: list[tuple[int, int]] = []
    outcomes = engine.run_jobs(
        jobs, engine.Workers(2), lambda all_jobs, so_far: counts.append((len(all_jobs), len(so_far)))
    )
    assert sorted(outcomes, key=lambda outcome: outcome.exit_code) == list(ended)
    assert counts[-1] == (2, 2)
