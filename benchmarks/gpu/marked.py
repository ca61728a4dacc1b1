"""The tests that need a GPU, `pytest -m cuda`, and those that run on one where there is one."""

import os
import re
import subprocess
import sys
from pathlib import Path

from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns

MARKED, EITHER = "marked cuda", "on a GPU if there is one"
EITHER_BY = '"cuda" if torch.cuda.is_available() else'  # what such a test file says
TESTS = Path(__file__).parents[2] / "tests"
COUNTS = ("passed", "failed", "skipped")


def measure(case: str, scope: Scope) -> Result:
    """How many passed, and which did not."""
    chosen = ["-m", "cuda", str(TESTS)] if case == MARKED else files()
    command = [sys.executable, "-m", "pytest", "--continue-on-collection-errors", "-rfE", *chosen]
    data = {"DAINR_DATA": str(scope.data.resolve())} if scope.data is not None else {}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | data)
    print(done.stdout, done.stderr, sep="\n", flush=True)
    result = count(done.stdout)
    if done.returncode not in (0, 1, 5):  # 1: some failed or cannot be imported, 5: there were none
        result["why"] = (done.stderr or done.stdout).strip().splitlines()[-1]
    return result | {"on_cuda": scope.on_cuda}


def files() -> list[str]:
    """The test files that run on a GPU where there is one, elsewhere by an interpreter or not at all."""
    return [str(p) for p in sorted(TESTS.rglob("test_*.py")) if EITHER_BY in p.read_text(encoding="utf-8")]


def count(said: str) -> Result:
    """What pytest's summary says: how many of each kind, those that failed, and the files that it could not import."""
    found = dict.fromkeys(COUNTS, 0)
    for number, kind in re.findall(r"(\d+) (passed|failed|skipped)", said.strip().rpartition("\n")[2]):
        found[kind] = int(number)
    names = re.findall(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    return {**found, "failing": [n for n in names if "::" in n], "not_imported": [n for n in names if "::" not in n]}


def show(results: Results) -> str:
    """The counts, and the files that are not in them."""
    block = show_columns(results, {kind: kind for kind in COUNTS}, "tests")
    files = [name for result in results.values() for name in result["not_imported"]]
    return f"{block}\n\nNot imported, for want of a package: {', '.join(files)}." if files else block


def faults(results: Results) -> list[str]:
    """Tests that failed; on a GPU also that none ran."""
    found = []
    for case, result in results.items():
        found += [f"tests: {name} failed" for name in result["failing"]]
        if "why" in result:
            found.append(f"tests: pytest did not end well: {result['why']}")
        if result["on_cuda"] and not result["passed"]:
            found.append(f"tests: {case}: not one passed")
    return found


STAGE = Stage(
    name="tests",
    title="Tests",
    about="Those marked `cuda` need a GPU; the others, of kernels and of steps through them, take one that is there.",
    cases=lambda scope: [MARKED] if scope.small else [MARKED, EITHER],
    measure=measure,
    show=show,
    faults=faults,
    usual_s=60,
    limit_s=300,
)
