"""The table holds what evaluate gives; scans find their references; BART gets the data it thinks it gets."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import bart, quality
from benchmarks.scans import find_subjects
from dainr.assess.scores import evaluate
from dainr.io.scans import native
from dainr.scan import Scan
from tests.methods.classical.test_gridding import grid


@pytest.fixture
def folder(radial_scan: Scan, tmp_path: Path) -> Path:
    native.write(replace(radial_scan, reference=None), tmp_path / "radial.h5")
    assert radial_scan.reference is not None
    np.save(tmp_path / "radial_reference.npy", radial_scan.reference)
    return tmp_path


def test_the_table_holds_the_scores_of_evaluate(
    folder: Path, radial_scan: Scan, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "out" / "quality.md"
    options = ["--device", "cpu", "--set", "nufft=finufft", "--set", "fit.iterations=8", "-o", str(out)]
    quality.main(["--data", str(folder), "--methods", "nothing,gridding", *options])
    assert out.read_text().strip() == capsys.readouterr().out.strip().replace("\n\n\n", "\n\n")
    row = next(line for line in out.read_text().splitlines() if line.startswith("| `gridding`"))
    figures = [float(f) for f in re.findall(r"[\d.]+", row)]
    scores = evaluate(grid(radial_scan).cine.data, radial_scan.reference)
    assert figures[:3] == pytest.approx((scores.whole.psnr, scores.whole.ssim, scores.dynamic.psnr), abs=6e-3)
    assert 0 < figures[3] < figures[4]
    assert figures[5] > 0
    assert 100 < figures[6] < 10000


def test_a_table_shows_spread_and_failure_and_marks_the_best() -> None:
    good = quality.Row(
        "good", [(30.0, 0.9, 25.0), (32.0, 0.92, 25.0)], [1.0, 3.0], [2.0, 4.0], [5.0, 7.0], [100.0, 300.0]
    )
    other = quality.Row("other", [(30.0, 0.95, 20.0)], [], [2.0], [3.0], [100.0])
    subject = quality.Subject("s", Path("s"), Path("r"), "r", "a scan")
    lines = quality.block(subject, [good, other, quality.Row("bad", failed="a reason")]).splitlines()
    assert lines[-3] == "| good | **31.00 ± 1.41** | 0.9100 ± 0.0141 | **25.00 ± 0.00** | 2.0 | 3.0 | 6.0 | 200 |"
    assert lines[-2] == "| other | 30.00 | **0.9500** | 20.00 |  | 2.0 | 3.0 | 100 |"
    assert lines[-1].startswith("| bad | failed: a reason |")


def test_methods_that_do_not_exist_are_left_out() -> None:
    assert [c.options for c in quality.choose(["paper", "nothing", "gridding"])] == [
        ("--preset", "paper"),
        ("--method", "gridding"),
    ]
    assert {("--preset", "default"), ("--method", "gridding")} <= {c.options for c in quality.choose(None)}


def test_a_preset_goes_by_its_method_and_steps_are_for_networks_that_learn() -> None:
    names = ["grasp", "crnn", "crunet:trained", "crunet:trained:30", "grasp:30"]
    assert [c.options for c in quality.choose(names, steps=20)] == [
        ("--method", "grasp"),
        ("--method", "crnn", "--iterations", "20"),
        ("--method", "crunet", "--preset", "trained"),
        ("--method", "crunet", "--preset", "trained", "--iterations", "30"),
    ]


def test_references_are_found_and_named(folder: Path, radial_scan: Scan) -> None:
    native.write(replace(radial_scan, reference=None), folder / "other.h5")
    native.write(replace(radial_scan, reference=None, frame=None), folder / "unbinned.h5")
    (folder / "broken.h5").write_bytes(b"nothing")
    work = folder / "work"
    work.mkdir()
    found = {s.name: (s.reference.name, s.reference_from) for s in find_subjects(folder, {}, work)}
    assert found.keys() == {"radial", "other"}
    assert found["radial"] == ("radial_reference.npy", "radial_reference.npy")
    assert found["other"][1].startswith("radial_reference.npy, the only one of this shape")
    np.save(folder / "third_reference.npy", radial_scan.reference)
    assert [s.name for s in find_subjects(folder, {}, work)] == ["radial"]
    given = find_subjects(folder, {"other.h5": folder / "third_reference.npy"}, work)
    assert [s.reference.name for s in given] == ["third_reference.npy", "radial_reference.npy"]


@pytest.mark.skipif(shutil.which("bart") is None, reason="bart is not installed")
@pytest.mark.parametrize("kind", ["radial_file", "cartesian_file"])
def test_bart_reconstructs_what_it_is_given(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    scan = native.read(request.getfixturevalue(kind))
    assert scan.reference is not None
    best = bart.temporal_tv(request.getfixturevalue(kind), scan.reference, tmp_path, iterations=20)
    gridded = evaluate(grid(scan).cine.data, scan.reference)
    assert best.scores.whole.psnr > gridded.whole.psnr + 3
    assert best.weight in bart.WEIGHTS
