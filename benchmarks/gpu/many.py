"""Several cases on one GPU: `dainr batch` with one, four, eight and as many at once as it chooses, and stacks."""

import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.common import run_dainr
from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns
from benchmarks.scaling import stacked
from dainr.io.scans import native
from dainr.simulate import simulate_phantom

CASES, AT_ONCE = 8, ("1", "4", "8", "auto")
N_STACKS, SLICES, STACKS_AT_ONCE = 20, 10, 4
TARGET_S = 300.0  # of the stacks, on an H100 or H200
SHORT = ("--iterations", "4")  # of a rehearsal
COLUMNS = {"seconds": "s", "per_case": "s a case", "done": "done", "why": "what failed"}


def cases(scope: Scope) -> list[str]:
    """Scans, slices of each, and how many at once."""
    return ["2 1 2"] if scope.small else [f"{CASES} 1 {jobs}" for jobs in AT_ONCE]


def measure(case: str, scope: Scope) -> Result:
    """One batch, from an empty folder to the summary."""
    (scans, slices), jobs = map(int, case.split()[:2]), case.split()[2]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "scans").mkdir()
        native.write(stacked(simulate_phantom(scope.phantom()), slices), work / "scans" / "case0.h5")
        for number in range(1, scans):
            shutil.copy(work / "scans" / "case0.h5", work / "scans" / f"case{number}.h5")
        options = ["--device", scope.device, *(() if jobs == "auto" else ("--jobs", jobs))]
        options += SHORT if scope.small else ()
        done = run_dainr("batch", work / "scans", "-o", work / "out", "--quiet", *options)
        summary = work / "out" / "summary.json"
        if not summary.is_file():
            raise RuntimeError(done.why)
        rows = json.loads(summary.read_text())
    failed = sorted({row["why"] for row in rows if row["status"] != "done"})
    ended = sum(row["status"] == "done" for row in rows)
    return {"seconds": done.seconds, "per_case": done.seconds / scans, "done": ended, "why": "; ".join(failed)}


def show(results: Results) -> str:
    """A row for each batch."""
    return show_columns(results, COLUMNS, "cases, slices of each, at once")


def show_stacks(results: Results) -> str:
    """The same, beside the target."""
    met = " and ".join("met" if one["seconds"] <= TARGET_S else "missed" for one in results.values())
    return f"{show(results)}\n\nTarget on an H100 or H200: {TARGET_S:g} s, {met}."


def faults(results: Results) -> list[str]:
    """Batches in which a case failed."""
    return [f"batch: {case}: {one['why']}" for case, one in results.items() if one["why"]]


STAGE = Stage(
    name="batch",
    title="Several cases on one device",
    about="`dainr batch` on phantoms, preset `default`, with export and summary; auto: as many at once as it chooses.",
    cases=cases,
    measure=measure,
    show=show,
    faults=faults,
    usual_s=60,
    limit_s=240,
)

STACKS = Stage(
    name="stacks",
    title="Stacks of slices on one device",
    about=f"The same with {SLICES} slices each.",
    cases=lambda scope: [] if scope.small else [f"{N_STACKS} {SLICES} {STACKS_AT_ONCE}"],
    measure=measure,
    show=show_stacks,
    faults=faults,
    usual_s=300,
    limit_s=500,
)
