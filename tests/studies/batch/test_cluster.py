"""Workers of a cluster: the share of a machine each takes."""

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import distributed
import pytest

from dainr import __version__
from dainr.errors import BadRequest
from dainr.studies.batch import cluster
from dainr.studies.batch.cases import Case
from dainr.studies.batch.work import Job, Outcome

JOB = Job(Case("a", Path("a")), Path("o"), (), (), 0.0)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Threads of every case that is fitted, on a worker of eight cores, one of two on a machine of eight."""
    cases: list[int] = []
    monkeypatch.setattr(cluster, "fit_case", lambda _, threads: cases.append(threads))
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(name=3, address="tcp://10.0.0.1:4000"))
    machine = SimpleNamespace(workers=["tcp://10.0.0.1:4000", "tcp://10.0.0.1:4001", "tcp://10.0.0.2:4000"])
    client = SimpleNamespace(run_on_scheduler=lambda asked: asked(machine))
    monkeypatch.setattr(distributed, "get_client", lambda: client)
    monkeypatch.setattr(cluster, "usable_cores", lambda: 8)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    return cases


def test_a_worker_takes_its_share(taken: list[int]) -> None:
    cluster._on_worker(JOB)
    assert taken == [4]


def test_a_worker_that_is_bound_to_cores_takes_all_of_them(taken: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    cluster._on_worker(JOB)
    assert taken == [8]


def said_by_client(address: str, environment: dict[str, str]) -> str:
    """What comes of asking a scheduler, in a process of its own."""
    code = f"from dainr.studies.batch.cluster import _client\nwith _client({address!r}) as c: print(c.status)"
    asked = [sys.executable, "-c", code]
    return str(subprocess.run(asked, env=environment, capture_output=True, text=True, timeout=90, check=False))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl to make certificates")
def test_a_scheduler_with_tls_takes_work_only_from_who_has_its_certificate(tmp_path: Path) -> None:
    key, certificate, address = (str(tmp_path / name) for name in ("key.pem", "cert.pem", "address"))
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=dainr"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    tls = ["--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key]
    listen = ["--protocol", "tls", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", address]
    scheduler = subprocess.Popen([sys.executable, "-m", "dask", "scheduler", *listen, *tls], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (Path(address).is_file() and "tls://" in Path(address).read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        where = "tls://" + Path(address).read_text().split("tls://")[1].split('"')[0]
        ours = {"CA_FILE": certificate, "CLIENT__CERT": certificate, "CLIENT__KEY": key}
        environment = os.environ | {f"DASK_DISTRIBUTED__COMM__TLS__{name}": value for name, value in ours.items()}
        assert "running" in said_by_client(where, environment)
        assert "certificates" in said_by_client(where, dict(os.environ))
        assert "certificates" in said_by_client(where.replace("tls", "tcp"), dict(os.environ))
    finally:
        scheduler.kill()
        scheduler.wait()


def test_what_answers_otherwise_than_a_scheduler_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BadRequest, match="no scheduler answers there"), cluster._client(where):
            pass


def test_workers_of_another_version_are_refused() -> None:
    cluster._check_versions({"tcp://a": __version__}, "--scheduler a")
    told: dict[str, object] = {"tcp://a": __version__, "tcp://b": "0.0.9", "tcp://c": ModuleNotFoundError("dainr")}
    with pytest.raises(BadRequest, match=r"version 0\.0\.9 and none of dainr"):
        cluster._check_versions(told, "--scheduler a")


def test_how_often_a_case_was_tried_is_said() -> None:
    error = distributed.scheduler.KilledWorker("a", SimpleNamespace(address="tcp://a"), 3)
    future = SimpleNamespace(status="error", exception=lambda: error)
    assert cluster._outcome(future, JOB).why == "the workers it was given to died, 4 of them; is memory short?"


def test_a_scheduler_whose_workers_are_gone_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there, looks = [{"tcp://a": 1}, {}, {}, {"tcp://a": 1}, {}], list[int]()
    monkeypatch.setattr(cluster, "NOBODY_S", 0.0)
    workers = cluster._Workers(SimpleNamespace(status="running", nthreads=lambda: there[len(looks)]))
    for _ in there:
        workers.look(3)
        looks.append(len(caplog.records))
    assert looks == [0, 1, 1, 1, 2]
    assert caplog.messages[0].startswith("the scheduler has no workers: 3 cases wait")


@pytest.fixture
def run_on_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[Outcome]]]:
    """Runs a function in place of every case, on two workers in processes of their own."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=logging.CRITICAL
    ) as workers:

        def run(function: Callable[[Job], Outcome], *names: str) -> list[Outcome]:
            monkeypatch.setattr(cluster, "_on_worker", function)
            jobs = [replace(JOB, case=Case(name, Path(name)), out=Path.cwd()) for name in names]
            return cluster.run_jobs(jobs, workers.scheduler_address, lambda *_: None)

        yield run


def dies_once(job: Job) -> Outcome:
    """A case whose first worker is killed, and any worker of the case that is called bad."""
    import os
    import signal

    begun = job.out / f"{job.case.name}.begun"
    if not begun.exists() or job.case.name == "bad":
        begun.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return Outcome(job.case.name, "", {}, "done")


@pytest.mark.slow
def test_a_case_whose_worker_dies_is_run_again_or_is_a_line_of_the_summary(
    run_on_workers: Callable[..., list[Outcome]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcomes = {outcome.name: outcome for outcome in run_on_workers(dies_once, "a", "bad")}
    assert outcomes["a"].status == "done"
    assert outcomes["bad"].why.startswith("the workers it was given to died")
