"""Both starts are fitted and scored for every neighbour."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import neighbour
from dainr.simulate import SimulationConfig, simulate_phantom


def test_both_starts_are_scored_for_every_neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = simulate_phantom(SimulationConfig(matrix=64, frames=4, coils=2, spokes=5)).reference
    assert reference is not None
    np.save(tmp_path / "cine.npy", reference)
    monkeypatch.setattr(neighbour, "CASES", dict(list(neighbour.CASES.items())[-1:]))
    quick = [text for pair in ("iterations=2", "coarse_steps=2", "encoder=none") for text in ("--set", pair)]
    neighbour.main([str(tmp_path / "cine.npy"), "--repeats", "1", *quick, "-o", str(tmp_path / "out.md")])
    rows = [line.split("|")[1:-1] for line in (tmp_path / "out.md").read_text().splitlines() if " ± " in line]
    assert [row[1].strip() for row in rows] == ["half the resolution", "the neighbour"]
    scores = [[float(cell.split("±")[0]) for cell in row[2:]] for row in rows]
    assert scores[0] != scores[1] and all(psnr > 10 and seconds > 0 for psnr, _, _, seconds in scores)


def test_a_neighbour_is_smaller_moved_and_late() -> None:
    series = np.zeros((4, 33, 33))
    series[0, 16, 16] = 1.0
    after = neighbour._next(series, neighbour.Neighbour(1.0, (2.0, -3.0), 0.5))
    assert np.unravel_index(int(after.argmax()), after.shape) == (2, 14, 19)
