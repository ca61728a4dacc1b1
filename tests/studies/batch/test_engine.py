"""Cases at once on this machine: the share each takes, how they end, and that nothing listens meanwhile."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from dainr.errors import BadScan, Interrupted
from dainr.studies.batch import engine, work
from dainr.studies.batch.cases import Case
from dainr.studies.batch.engine import Workers, run_jobs
from dainr.studies.batch.work import CASES, Job, Outcome


def job(name: str, out: Path) -> Job:
    return Job(Case(name, out / "scan.h5"), out, ("--seed", "1"), (), 0.0)


def watch(*_: object) -> None: ...


@pytest.mark.parametrize(
    ("workers", "shares"),
    [
        (Workers(2), {(4, None)}),
        (Workers(16), {(1, None)}),
        (Workers(3, ("2", "GPU-8f")), {(2, "2"), (2, "GPU-8f")}),
    ],
)
def test_a_case_takes_its_share(
    workers: Workers, shares: set[tuple[int, str | None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[tuple[int, str | None]] = []
    together = threading.Barrier(workers.count, timeout=20)

    def fit(one: Job, threads: int, gpu: str | None) -> Outcome:
        together.wait()
        taken.append((threads, gpu))
        return work.failed(one, "")

    monkeypatch.setattr(engine, "fit_case", fit)
    monkeypatch.setattr(engine, "usable_cores", lambda: 8)
    run_jobs([job(str(n), tmp_path) for n in range(workers.count)], workers, watch)
    assert set(taken) == shares and len(taken) == workers.count


def test_outcomes_come_back_and_one_that_breaks_costs_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scan.h5").write_bytes(b"kspace")
    (tmp_path / CASES).mkdir()
    bad = job("bad", tmp_path)
    work._write(bad, Outcome("bad", "", work._asked(bad), "failed", exit_code=BadScan.exit_code))
    real = work.fit_case

    def fit(one: Job, *share: object) -> Outcome:
        if one.case.name == "odd":
            raise OSError(28, "No space left on device")
        return real(one, 1)

    monkeypatch.setattr(engine, "fit_case", fit)
    counts: list[tuple[int, int]] = []
    ended = run_jobs([bad, job("odd", tmp_path)], Workers(2), lambda jobs, so_far: counts.append((2, len(so_far))))
    assert {one.name: one.exit_code for one in ended} == {"bad": BadScan.exit_code, "odd": 1}
    assert "No space left" in next(one.why for one in ended if one.name == "odd")
    assert counts[-1] == (2, 2)


def test_nothing_listens_while_a_batch_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No port and no socket by which another user of the machine could hand it work."""
    listening: list[object] = []

    def fit(one: Job, *_: object) -> Outcome:
        this = psutil.Process()
        for process in (this, *this.children(recursive=True)):
            listening.extend(c for c in process.net_connections("all") if c.status == psutil.CONN_LISTEN)
        return work.failed(one, "")

    before = [c for c in psutil.Process().net_connections("all") if c.status == psutil.CONN_LISTEN]
    monkeypatch.setattr(engine, "fit_case", fit)
    run_jobs([job("a", tmp_path)], Workers(2), watch)
    assert [one for one in listening if one not in before] == []


def test_fits_end_with_the_batch_and_their_cases_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scan.h5").write_bytes(b"kspace")
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))

    def interrupt(*_: object) -> None:
        if (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text():
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_jobs([job(name, tmp_path) for name in "ab"], Workers(1), interrupt)
    assert time.monotonic() - started < 30
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIG_DFL)
    assert {path.stem: '"running"' in path.read_text() for path in (tmp_path / CASES).glob("*.json")} == {"a": True}


def test_none_begins_once_the_batch_ends(tmp_path: Path) -> None:
    with work.commands_of_a_batch() as stop:
        stop()
        with pytest.raises(Interrupted):
            work._dainr(["fit"], job("a", tmp_path), dict(os.environ))
