"""The examples run, here on a smaller phantom, and are notebooks."""

import runpy
from dataclasses import replace
from pathlib import Path

import matplotlib
import pytest
from matplotlib import pyplot

from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
LEAVES = {
    "enough_steps": ["enough_steps.png"],
    "first_cine": ["cine.mp4", "first_cine.png"],
    "motion": ["motion.nii.gz", "motion.png"],
    "own_arrays": ["own.h5"],
    "slow_motion": ["slow.gif"],
}
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)


def smaller(config: SimulationConfig) -> Scan:
    return simulate_phantom(replace(config, matrix=32, frames=6))


@every_example
def test_an_example_runs(
    example: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dainr.simulate.simulate_phantom", smaller)
    with matplotlib.rc_context({"backend": "Agg"}):
        runpy.run_path(str(example), run_name="__main__")
        pyplot.close("all")
    assert capsys.readouterr().out.strip()
    for name in LEAVES[example.stem]:
        assert (tmp_path / name).stat().st_size > 0


@every_example
def test_an_example_is_a_notebook(example: Path) -> None:
    jupytext = pytest.importorskip("jupytext", reason="the extra docs is not installed")
    cells = jupytext.read(example).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    assert sum(cell.cell_type == "code" for cell in cells) >= 3
