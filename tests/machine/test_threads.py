"""How OpenMP's threads wait: decided once, by what runs beside them, and by nobody where the user decided."""

import os
from pathlib import Path

import pytest

from dainr.machine import threads


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in threads.WAITING:
        monkeypatch.setenv(name, "")  # so that it is put back in the end, set or not
        monkeypatch.delenv(name)
    monkeypatch.setattr(threads, "PAUSE_S", 0.0)
    monkeypatch.setattr(threads, "usable_cores", lambda: 4)
    monkeypatch.setattr("os.cpu_count", lambda: 8)


def running(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    load = tmp_path / "loadavg"
    load.write_text(text)
    monkeypatch.setattr(threads, "LOAD", load)


@pytest.mark.parametrize(("count", "spins"), [(1, True), (5, True), (6, False), (20, False)])
def test_threads_spin_only_where_each_has_a_processor(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, count: int, spins: bool
) -> None:
    running(monkeypatch, tmp_path, f"0.20 0.18 0.12 {count}/311 4711\n")
    threads.wait_for_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert os.environ.get("GOMP_SPINCOUNT") == (threads.SPINS if spins else None)


@pytest.mark.parametrize("text", ["", "0.20 0.18 0.12", "a b c d/e"])
def test_they_sleep_where_the_system_does_not_say_what_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    running(monkeypatch, tmp_path, text)
    threads.wait_for_threads()
    assert "GOMP_SPINCOUNT" not in os.environ


@pytest.mark.parametrize(("name", "value"), [("OMP_WAIT_POLICY", "ACTIVE"), ("GOMP_SPINCOUNT", "7")])
def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str) -> None:
    running(monkeypatch, tmp_path, "0.20 0.18 0.12 1/311 4711\n")
    monkeypatch.setenv(name, value)
    threads.wait_for_threads()
    assert os.environ[name] == value
    assert os.environ.get("GOMP_SPINCOUNT") == ("7" if name == "GOMP_SPINCOUNT" else None)


def test_one_thread_waits_for_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    running(monkeypatch, tmp_path, "0.20 0.18 0.12 1/311 4711\n")
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    threads.wait_for_threads()
    assert "GOMP_SPINCOUNT" not in os.environ
