"""The error map stands beside the true error; protocols follow from the seed."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import error_map
from dainr.io.scans import native
from dainr.scan import Scan
from tests.conftest import TINY


def test_rows_are_written_and_summed_up(radial_scan: Scan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    native.write(radial_scan, tmp_path / "radial.h5")
    settings = [part for pair in (*TINY, "iterations=6") for part in ("--set", pair)]
    options = ["--scans", "1", "--matrix", "32", "--frames", "6", "--data", str(tmp_path), "--device", "cpu"]
    out = tmp_path / "out" / "error_map.md"
    error_map.main([*options, *settings, "-o", str(out)])
    text = out.read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row[0].split(",")[0].strip() for row in rows] == ["beating", "folder"]
    for _, ratio, coverage, correlation, cost in rows:
        assert float(ratio) > 0 and 0 < float(coverage.rstrip(" %")) <= 100
        assert -1 < float(correlation) < 1 and float(cost.rstrip(" %")) > 0
    assert "- all, 2 scans: coverage" in text and "- beating, 1 scans" in text
    assert text.count("\n| ") == capsys.readouterr().out.count("\n| ")


def test_protocols_follow_from_the_seed() -> None:
    first, again, other = (list(error_map.drawn(seed, 8, 48, 8)) for seed in (1, 1, 2))
    assert first == again != other
    assert [config.phantom for config in first[:4]] == list(error_map.SUBJECTS)
    assert min(config.spokes for config in first) >= error_map.FEWEST_SPOKES


def test_coverage_and_correlation_are_those_of_the_object_at_one_scale() -> None:
    random = np.random.default_rng(0)
    truth = np.ones((1, 2, 40, 40), np.complex64)
    truth[..., :10] = 0.01
    error = random.normal(size=truth.shape) * np.linspace(0.02, 0.2, 40)
    images = (3 * (truth + error)).astype(np.complex64)
    known = np.abs(3 * 1.2816 * np.broadcast_to(np.linspace(0.02, 0.2, 40), truth.shape)).astype(np.float32)
    assert error_map.coverage(images, known, truth) == pytest.approx(0.8, abs=0.03)
    assert error_map.correlation(images, known, truth) > 0.6
