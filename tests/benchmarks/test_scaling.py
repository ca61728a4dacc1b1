"""Each size is fitted once, and its figures are the run's own."""

from pathlib import Path

import pytest

from benchmarks import scaling
from dainr.simulate import SimulationConfig


@pytest.mark.usefixtures("in_process")
def test_every_size_has_its_cost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = SimulationConfig(matrix=32, frames=4, coils=2, spokes=5)
    monkeypatch.setattr(scaling, "QUICK", scaling.Sweep((32,), (4,), (2,), (1, 2), base, 4, 2))
    options = ["--preset", "default", "--device", "cpu", "--set", "nufft=finufft", "--set", "coarse_steps=0"]
    scaling.main(["--quick", *options, "-o", str(tmp_path / "scaling.md")])
    text = (tmp_path / "scaling.md").read_text()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    costs = [row for row in rows if row[0].isdigit()]
    assert [row[0] for row in costs] == ["32", "4", "2", "1", "2"]
    assert len({tuple(row[1:]) for row in costs[:-1]}) == 1, "the same phantom was fitted twice"
    seconds, prepare, peak = map(float, costs[0][1:])
    assert 0 < seconds < 30
    assert prepare > 0
    assert 100 < peak < 10000


def test_a_step_is_the_mean_between_the_first_and_the_last_validation() -> None:
    validations = [{"step": 2, "seconds": 5.0}, {"step": 4, "seconds": 6.0}, {"step": 6, "seconds": 7.0}]
    record = {"slices": [{"fit": {"validations": validations}}], "seconds": {"prepare": 2.0}, "peak_memory_mb": 7.0}
    assert scaling.read_cost(record) == scaling.Cost(0.5, 2.0, 7.0)
