"""The share of a machine that a worker takes."""

import os
from pathlib import Path
from types import SimpleNamespace

import distributed
import pytest

from dainr.studies.batch import engine
from dainr.studies.batch.cases import Case
from dainr.studies.batch.work import Job


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int | None]]:
    """Threads and device of every case that is fitted, on a worker of eight cores, the fourth of a machine of eight."""
    cases: list[tuple[int, int | None]] = []
    monkeypatch.setattr(engine, "fit_case", lambda _, threads, gpu: cases.append((threads, gpu)))
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(name=3, address="tcp://10.0.0.1:4000"))
    machine = SimpleNamespace(workers=["tcp://10.0.0.1:4000", "tcp://10.0.0.1:4001", "tcp://10.0.0.2:4000"])
    client = SimpleNamespace(run_on_scheduler=lambda asked: asked(machine))
    monkeypatch.setattr(distributed, "get_client", lambda: client)
    monkeypatch.setattr(engine, "usable_cores", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return cases


@pytest.mark.parametrize(
    ("gpus", "local", "share"), [(0, 2, (4, None)), (0, 16, (1, None)), (2, 4, (2, 1)), (0, 0, (4, None))]
)
def test_a_worker_takes_its_share(
    gpus: int, local: int, share: tuple[int, int | None], taken: list[tuple[int, int | None]]
) -> None:
    engine._on_worker(Job(Case("a", Path("a")), Path("o"), (), (), 0.0), gpus, local)
    assert taken == [share]


def test_a_worker_of_a_cluster_that_is_bound_to_cores_takes_all_of_them(
    taken: list[tuple[int, int | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    engine._on_worker(Job(Case("a", Path("a")), Path("o"), (), (), 0.0), 0, 0)
    assert taken == [(8, None)]
