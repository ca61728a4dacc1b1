"""Tuning from scans to a preset: what is told on the way, what is written, what is left out."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from dainr.errors import BadScan, DainrError
from dainr.io.scans import native
from dainr.methods.dainr.config import DainrConfig
from dainr.prepare.binning import Binning
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.studies.search import Attempt
from dainr.studies.tune import Trial
from dainr.studies.tuning import Budget, Tuning, load_scans
from tests.conftest import TINY
from tests.helper import repeated

CONFIG = build_config(DainrConfig, {}, [*TINY, "device=cpu", "iterations=5", "validate_every=1", "coarse_steps=2"])


def test_every_budget_is_told_and_the_choice_written(radial_scan: Scan, tmp_path: Path) -> None:
    names: list[str] = []
    told: list[Trial] = []

    def begin(name: str) -> list[object]:
        names.append(name)
        return []

    scans = {"a": radial_scan, "b": radial_scan}
    found = Tuning("both", scans, CONFIG, tmp_path / "p.toml").budget([0.05, 0.1], begin=begin, tell=told.append)  # type: ignore[arg-type]
    assert names == ["a", "b"]
    assert told == found.sweeps["a"] + found.sweeps["b"] and len(told) == 4
    written = tomllib.loads((tmp_path / "p.toml").read_text())
    assert written["fit"]["budget_s"] == found.seconds
    assert f"{found.seconds:g} s is enough" in (tmp_path / "p.html").read_text()
    assert found.as_dict()["budget_s"] == found.seconds
    assert [case["scan"] for case in found.as_dict()["cases"]] == ["a", "b"]


def test_the_best_attempt_is_written(radial_scan: Scan, tmp_path: Path) -> None:
    told: list[Attempt] = []
    tuning = Tuning("scan", {"scan": radial_scan}, CONFIG, tmp_path / "p.toml")
    found = tuning.settings(2, tell=told.append)
    assert told == found.attempts and found.chosen in told
    written = tomllib.loads((tmp_path / "p.toml").read_text())
    assert written["about"] == "the best of 2 attempts by held-out readouts of scan"
    rate = written["fit"].get("learning_rate", DainrConfig().fit.learning_rate)
    assert rate == pytest.approx(found.chosen.settings["fit.learning_rate"])
    assert {path.name for path in tmp_path.iterdir()} >= {"p.toml", "p.html", "p.study"}


def trial(budget: float, excess: float, psnr: float | None) -> Trial:
    return Trial(budget, budget, budget, 10, excess, excess, psnr, psnr)


def test_a_reference_that_ranks_otherwise_is_noticed() -> None:
    alike = [trial(1, 0.2, 30.0), trial(2, 0.1, 31.0)]
    against = [trial(1, 0.2, 31.0), trial(2, 0.1, 30.0)]
    found = Budget(2, {"alike": alike, "against": against, "without": [trial(1, 0.2, None)]})
    assert found.correlations == {"alike": pytest.approx(1), "against": pytest.approx(-1), "without": None}
    assert found.disagreements == [pytest.approx(-1)]


def test_of_a_folder_the_middle_slices_of_what_can_be_read_are_taken(radial_scan: Scan, tmp_path: Path) -> None:
    left_out: dict[str, DainrError] = {}
    native.write(repeated(replace(radial_scan, reference=None), 3), tmp_path / "stack.h5")
    (tmp_path / "bad.h5").touch()
    binning = Binning(spokes_per_frame=6)
    found = load_scans(tmp_path, tmp_path / "p.toml", binning, left_out.__setitem__)
    assert list(found) == ["stack"] and list(left_out) == ["bad"]
    assert (found["stack"].n_slices, found["stack"].n_frames) == (1, 9)
    whole = load_scans(tmp_path / "stack.h5", tmp_path / "p.toml", binning, left_out.__setitem__)
    assert whole["stack.h5"].n_slices == 3
    (tmp_path / "stack.h5").unlink()
    with pytest.raises(BadScan, match="none of its scans"):
        load_scans(tmp_path, tmp_path / "p.toml", binning, left_out.__setitem__)
