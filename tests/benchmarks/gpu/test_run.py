"""Cases run apart: none ends the check, what is done is not done again, and time is kept."""

import json
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as program
from benchmarks.gpu import ledger as ledgers
from benchmarks.gpu import run
from benchmarks.gpu.ledger import Entry, Ledger
from benchmarks.gpu.stage import Scope, Stage

from .conftest import stage

MEASURED: Entry = {"seconds": 1.0, "result": {"ms": 3}}


def of_program(monkeypatch: pytest.MonkeyPatch, scope: Scope, text: str, limit_s: float = 20.0) -> Entry:
    """The entry of a case whose process runs this program."""
    monkeypatch.setattr(run, "command", lambda stage, case, answer, scope: [sys.executable, "-Sc", text, str(answer)])
    return run.run_case(stage(), "one", scope, limit_s)


ANSWERS = "import os, sys; open(sys.argv[1], 'w').write('{\"ms\": 3}')"


def test_what_a_case_measures_is_kept(monkeypatch: pytest.MonkeyPatch, scope: Scope) -> None:
    assert of_program(monkeypatch, scope, ANSWERS)["result"] == {"ms": 3}


def test_a_case_that_fails_leaves_its_reason(monkeypatch: pytest.MonkeyPatch, scope: Scope) -> None:
    entry = of_program(monkeypatch, scope, "print('begun', flush=True); raise ValueError('no such card')")
    assert entry["failed"] == "ValueError: no such card"
    assert entry["said"][0] == "begun"
    assert "begun" in (scope.out / run.LOG).read_text()


def test_a_case_that_crashes_is_told_by_its_signal(monkeypatch: pytest.MonkeyPatch, scope: Scope) -> None:
    assert of_program(monkeypatch, scope, "import os; os.abort()")["failed"] == "it was ended by SIGABRT"


def test_a_crash_after_the_result_leaves_it(monkeypatch: pytest.MonkeyPatch, scope: Scope) -> None:
    entry = of_program(monkeypatch, scope, f"{ANSWERS}.bit_length(); os.abort()")
    assert entry["result"] == {"ms": 3}
    assert entry["afterwards"] == "it was ended by SIGABRT"


def test_a_case_that_hangs_is_ended_with_all_it_started(monkeypatch: pytest.MonkeyPatch, scope: Scope) -> None:
    started = scope.out / "started"
    child = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    hangs = f"import subprocess, sys; subprocess.run([sys.executable, '-Sc', {child!r}])"
    assert of_program(monkeypatch, scope, hangs, 1.0)["failed"] == "it took longer than 1 s"
    status = Path(f"/proc/{started.read_text()}/stat")
    for _ in range(100):
        if not status.exists() or ") Z " in status.read_text():
            return
        time.sleep(0.02)
    raise AssertionError("what the case started still runs")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A plan of two cases that take no time; the names of those that are measured."""
    measured: list[str] = []

    def measure(stage: Stage, case: str, scope: Scope, limit_s: float) -> Entry:
        measured.append(case)
        return MEASURED

    monkeypatch.setattr(run, "planned", lambda scope: [(stage(), "one"), (stage(), "two")])
    monkeypatch.setattr(run, "run_case", measure)
    monkeypatch.setattr(ledgers, "STAGES", {"grids": stage()})
    return measured


def check(scope: Scope, *options: str) -> int:
    """The exit code of the program."""
    try:
        program.main(["--device", "cpu", "--out", str(scope.out), *options])
    except SystemExit as ended:
        assert isinstance(ended.code, int), ended.code
        return ended.code
    return 0


def test_what_is_done_is_not_done_again(fast: list[str], scope: Scope) -> None:
    assert check(scope) == 0
    assert check(scope) == 0
    assert fast == ["one", "two"]
    assert check(scope, "--again", "grids") == 0
    assert fast == ["one", "two"] * 2
    page = (scope.out / ledgers.PAGE).read_text()
    assert "2 cases done, 0 left, 0 faults." in page
    assert "## Of a test\n\nAbout it. Took 2 s.\n\none 3, two 3" in page


def test_a_case_that_failed_is_a_fault_and_stands(
    fast: list[str], scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run_case", lambda *asked: {"seconds": 1.0, "failed": "it crashed"})
    assert check(scope) == 1
    assert "- grids: one: it crashed" in (scope.out / ledgers.PAGE).read_text()


def test_a_case_that_failed_is_tried_again_where_that_is_asked(fast: list[str], scope: Scope) -> None:
    ledger = Ledger(scope)
    ledger.add(stage(), "one", {"seconds": 1.0, "failed": "it crashed", "said": []})
    ledger.add(stage(), "two", MEASURED)
    assert check(scope) == 1
    assert fast == []
    assert check(scope, "--again", "failed") == 0
    assert fast == ["one"]


def test_what_there_is_no_time_for_is_left(fast: list[str], scope: Scope) -> None:
    assert check(scope, "--budget", "4s") == 1
    assert fast == []
    assert "- left to do: 2 of grids" in (scope.out / ledgers.PAGE).read_text()


def test_a_case_that_the_budget_stops_is_left_too(
    fast: list[str], scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "run_case", lambda stage, case, scope, limit_s: {"seconds": limit_s, "failed": "slow"})
    assert check(scope, "--budget", "6s") == 1
    assert Ledger(scope).entries == {}


def test_a_check_goes_on_in_another_folder(fast: list[str], scope: Scope, tmp_path: Path) -> None:
    assert check(scope) == 0
    other = Scope("cpu", True, tmp_path / "other")
    assert check(other, "--begun", str(scope.out)) == 0
    assert fast == ["one", "two"]
    assert json.loads((other.out / ledgers.RESULT).read_text())["stages"]["grids"]["two"] == MEASURED


def test_a_result_of_another_device_is_not_gone_on_with(scope: Scope) -> None:
    Ledger(Scope("cuda", False, scope.out)).add(stage(), "one", MEASURED)
    with pytest.raises(SystemExit, match=r"it is of cuda; name another folder"):
        Ledger(scope)


def test_a_damaged_result_is_said_to_be(scope: Scope) -> None:
    (scope.out / ledgers.RESULT).write_text("{")
    with pytest.raises(SystemExit, match="it is no result of a check"):
        Ledger(scope)


def test_a_device_that_is_not_there_is_one_sentence(scope: Scope) -> None:
    with pytest.raises(SystemExit, match=r"^--device cuda:99: .*use|choose"):
        program.main(["--device", "cuda:99", "--out", str(scope.out)])


def test_faults_of_results_are_told(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = stage(faults=("grids: it is wrong",))
    monkeypatch.setattr(ledgers, "STAGES", {"grids": wrong})
    ledger = Ledger(scope)
    ledger.add(wrong, "one", MEASURED)
    ledger.add(wrong, "two", {"seconds": 1.0, "result": {"left_out": "it is not installed"}})
    ledger.write_page([])
    page = (scope.out / ledgers.PAGE).read_text()
    assert "2 cases done, 0 left, 1 faults.\n\n- grids: it is wrong" in page
    assert "one 3\n\ntwo: it is not installed." in page


def test_the_page_is_there_while_cases_are_still_to_come(
    fast: list[str], scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []

    def measure(stage: Stage, case: str, scope: Scope, limit_s: float) -> Entry:
        page = scope.out / ledgers.PAGE
        pages.append(page.read_text() if page.is_file() else "")
        return MEASURED

    monkeypatch.setattr(run, "run_case", measure)
    assert check(scope) == 0
    assert pages[0] == ""
    assert "1 cases done, 1 left, 0 faults." in pages[1]
