"""The scope of a rehearsal, and stages whose cases take no time."""

from pathlib import Path

import pytest

from benchmarks.gpu.stage import Result, Scope, Stage


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    return Scope("cpu", True, tmp_path)


def stage(name: str = "grids", faults: tuple[str, ...] = (), limit_s: float = 20.0) -> Stage:
    """A stage of two cases, which goes by the name of a real one."""

    def never(case: str, scope: Scope) -> Result:
        raise AssertionError("a process of its own measures")

    return Stage(
        name,
        "Of a test",
        "About it.",
        cases=lambda scope: ["one", "two"],
        measure=never,
        show=lambda results: ", ".join(f"{case} {result['ms']}" for case, result in results.items()),
        faults=lambda results: [*faults],
        usual_s=5.0,
        limit_s=limit_s,
    )
