"""Cases in processes of their own, within a time for each and a budget for all: none of them can end the check."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

from benchmarks.common import say
from benchmarks.gpu.ledger import Entry, Ledger
from benchmarks.gpu.plan import planned
from benchmarks.gpu.stage import Scope, Stage

ROOT = Path(__file__).parents[2]
LOG = "log.txt"
SAID = 12  # lines of a case that failed


def run_all(scope: Scope, ledger: Ledger, budget_s: float, only: list[str]) -> list[tuple[Stage, str]]:
    """Measure what is not done yet, as far as the budget goes; what is left.

    A case is begun if there is time for what it usually takes. One that the end of the budget stops is left as well.
    """
    started, left = time.monotonic(), []
    chosen = [(stage, case) for stage, case in planned(scope) if not only or stage.name in only]
    todo = [(stage, case) for stage, case in chosen if not ledger.has(stage, case)]
    for number, (stage, case) in enumerate(todo, 1):
        time_left = budget_s - (time.monotonic() - started)
        entry = None
        if time_left >= stage.usual_s:
            say(f"{number} of {len(todo)}, {stage.name}: {case}")
            entry = run_case(stage, case, scope, min(stage.limit_s, time_left))
        if entry is None or ("failed" in entry and entry["seconds"] >= time_left):
            left.append((stage, case))
            continue
        ledger.add(stage, case, entry)
        ledger.write_page([*left, *todo[number:]])
        say(f"    {entry['seconds']:.0f} s{', ' + entry['failed'] if 'failed' in entry else ''}")
    return left


def run_case(stage: Stage, case: str, scope: Scope, limit_s: float) -> Entry:
    """One case: its entry, whatever becomes of its process. What it prints goes to the log."""
    with (
        tempfile.TemporaryDirectory() as folder,
        (scope.out / LOG).open("a+", encoding="utf-8", errors="replace") as log,
    ):
        answer = Path(folder) / "answer.json"
        log.write(f"\n## {stage.name}: {case}\n\n")
        log.flush()
        begun_at, started = log.tell(), time.monotonic()
        code = _ends(command(stage, case, answer, scope), log, limit_s)
        entry: Entry = {"seconds": round(time.monotonic() - started, 1)}
        if answer.is_file():
            entry["result"] = json.loads(answer.read_text(encoding="utf-8"))
            return entry | ({"afterwards": _why(code, [], limit_s)} if code else {})
        log.seek(begun_at)
        said = [line for line in log.read().splitlines() if line.strip()][-SAID:]
        return entry | {"failed": _why(code, said, limit_s), "said": said}


def command(stage: Stage, case: str, answer: Path, scope: Scope) -> list[str]:
    """What measures a case."""
    options = ["--device", scope.device, "--out", str(scope.out), *(["--small"] if scope.small else [])]
    options += [] if scope.data is None else ["--data", str(scope.data)]
    return [sys.executable, "-m", "benchmarks.gpu.case", stage.name, case, str(answer), *options]


def _why(code: int | None, said: list[str], limit_s: float) -> str:
    if code is None:
        return f"it took longer than {limit_s:.0f} s"
    if code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return said[-1] if said else f"exit code {code}"


def _ends(words: list[str], log: IO[str], limit_s: float) -> int | None:
    """The exit code of a command, None if it was stopped after so many seconds; all that it started ends with it."""
    with subprocess.Popen(words, stdout=log, stderr=log, cwd=ROOT, process_group=0) as process:
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end_group(process.pid)


def _end_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:  # all have ended by themselves
        return
