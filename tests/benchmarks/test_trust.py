"""What a fit says of its error stands beside the truth; protocols follow from the seed; the truth is full sampling."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import trust
from benchmarks.fully_sampled import fully_sampled, phantom_with_truth
from dainr.assess.scores import evaluate
from dainr.io.scans import native
from dainr.scan import Scan
from dainr.simulate import SimulationConfig
from dainr.simulate.phantom import still_ellipse
from tests.conftest import TINY


def test_rows_are_written_and_summed_up(radial_scan: Scan, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    native.write(radial_scan, tmp_path / "radial.h5")
    settings = [part for pair in (*TINY, "iterations=6") for part in ("--set", pair)]
    options = ["--scans", "1", "--matrix", "32", "--frames", "6", "--no-disturbed", "--data", str(tmp_path)]
    out = tmp_path / "out" / "trust.md"
    trust.main([*options, "--device", "cpu", *settings, "-o", str(out)])
    text = out.read_text()
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")][2:]
    assert [row[0].split(":")[0].strip() for row in rows] == ["0", "radial"]
    for _, said, true, ratio, within, level in rows:
        assert float(said) / float(true) == pytest.approx(float(ratio), abs=0.03)
        assert within.strip() in ("yes", "no") and level.strip() in ("good", "caution", "poor")
    assert "- 2 scans; rank correlation" in text and "of these not said to be poor" in text
    assert text.count("\n| ") == capsys.readouterr().out.count("\n| ")


def test_protocols_follow_from_the_seed() -> None:
    first, again, other = ([case.name for case in trust.drawn(seed, 20, 48, 8)] for seed in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 20
    assert any("spokes" in name for name in first) and any("vista" in name for name in first)


def test_a_series_is_measured_anew_on_fewer_pixels(tmp_path: Path) -> None:
    series = np.random.default_rng(0).random((1, 3, 40, 32)).astype(np.float32)
    np.save(tmp_path / "series.npy", series)
    scan = trust.measured_anew(tmp_path / "series.npy", SimulationConfig(spokes=5, coils=2), 24)
    assert scan.matrix == (24, 24) and scan.n_frames == 3


def test_sums_count_what_is_missed() -> None:
    rows = [
        trust.Row("missed", 0.1, 0.3, False, "caution"),
        trust.Row("alarm", 0.2, 0.05, False, "poor"),
        trust.Row("right", 0.1, 0.1, True, "good"),
    ]
    text = trust.sums(rows)
    assert "above 20%: 1, of these not said to be poor: 1" in text
    assert "below 8%: 1, of these said to be poor: 1" in text
    assert "from 0.7 to 1.5: 33%" in text


def test_full_sampling_is_what_lines_of_all_k_space_show() -> None:
    config = SimulationConfig(pattern="uniform", acceleration=1, snr=1e5, frames=2, matrix=32, coils=1)
    scan = phantom_with_truth(config)
    assert scan.reference is not None
    kspace = scan.kspace[0, 0].reshape(2, 32, 32)
    images = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2))), axes=(1, 2))
    assert evaluate(images[None], scan.reference).whole.nrmse < 0.06  # lines of a frame are measured one after another


def test_what_is_beside_does_not_wrap_into_full_sampling() -> None:
    inside = fully_sampled([still_ellipse(1.0, (0.0, 0.1), (0.2, 0.1))], (32, 32), 0.0)
    beside = fully_sampled([still_ellipse(1.0, (0.0, 0.7), (0.1, 0.05))], (32, 32), 0.0)
    assert 0.8 < np.abs(inside).max() < 1.3
    assert np.abs(beside).max() < 0.15
