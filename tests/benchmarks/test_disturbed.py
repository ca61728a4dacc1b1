"""Every disturbance is scored, and what the program does about it helps."""

from functools import partial
from pathlib import Path

import pytest

from benchmarks import disturbed
from dainr.simulate import SimulationConfig


def test_what_is_done_about_a_disturbance_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disturbed, "SimulationConfig", partial(SimulationConfig, frames=10))
    disturbed.main(["--methods", "cg-sense", "--matrix", "48", "--device", "cpu", "-o", str(tmp_path / "out.md")])
    lines = [line.split("|")[1:-1] for line in (tmp_path / "out.md").read_text().splitlines() if " / " in line]
    rows = {(a.strip(), b.strip()): float(c.split("/")[0]) for a, b, c in (x for x in lines if len(x) == 3)}
    for name, setting in [(n, s) for n, s in rows if s != "as it comes"]:
        assert rows[name, "as it comes"] > rows[name, setting] + 1
    assert rows["a frame without signal", "as it comes"] > rows["as it should be", "as it comes"] - 1
    for name in ("as it should be", "lines"):
        without = "no noise measurement" if name != "lines" else f"{name}, no noise measurement"
        assert rows[without, "as it comes"] > rows[name, "as it comes"] - 1
    assert rows["lines, tissue beyond the edges", "as it comes"] > 15
    for what in disturbed.UNSTEADY.values():
        assert rows[what, "as it comes"] > 15
    assert len(rows) == 16
