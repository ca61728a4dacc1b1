import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from dainr.errors import Diverged
from dainr.scan import Scan

from . import GRIDDING, TINY_OPTIONS, Result, assert_one_error, invoke, start, succeed
from .conftest import FinishedRun

BOTH = ("--methods", "gridding,dainr", *TINY_OPTIONS)
ONE = ("--methods", "gridding", "--device", "cpu", "--set", "nufft=finufft")


@pytest.fixture(scope="module")
def compared(finished: FinishedRun, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    page = tmp_path_factory.mktemp("compared") / "page.html"
    return succeed("compare", finished.scan, "-o", page, *BOTH, "--json"), page


def compare(scan: Path, *options: object) -> Result:
    return invoke("compare", scan, "-o", scan.parent / "page.html", *options)


def test_scores_are_those_of_evaluate(compared: tuple[Result, Path], finished: FinishedRun, tmp_path: Path) -> None:
    succeed("fit", finished.scan, "-o", tmp_path / "gridded", *GRIDDING)
    entries = {entry["name"]: entry for entry in json.loads(compared[0].stdout)["methods"]}
    for name, run in (("dainr", finished.folder), ("gridding", tmp_path / "gridded")):
        assert entries[name]["scores"] == json.loads(succeed("evaluate", run, finished.scan, "--json").stdout)


def test_json_is_one_object_and_the_page_is_written(compared: tuple[Result, Path]) -> None:
    result, page = compared
    assert result.stderr == ""
    assert json.loads(result.stdout).keys() >= {"scan", "input", "reference", "methods", "devices", "versions"}
    assert [path.name for path in page.parent.iterdir()] == [page.name]
    assert page.read_text().startswith("<!doctype html>")


def test_table_and_progress_name_every_method(radial_file: Path, radial_scan: Scan, tmp_path: Path) -> None:
    assert radial_scan.reference is not None
    np.save(tmp_path / "reference.npy", radial_scan.reference)
    result = compare(radial_file, "--reference", tmp_path / "reference.npy", *BOTH)
    assert result.exit_code == 0
    for name in ("gridding", "dainr"):
        assert name in result.stdout
        assert name in result.stderr
    assert "dainr, step 30 (100%)" in result.stderr
    assert "page.html" in result.stderr


def test_the_page_is_named_after_the_scan_by_default(
    radial_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    succeed("compare", radial_file, *ONE, "-q")
    assert (tmp_path / "radial_compare.html").is_file()


def test_the_scores_asked_for_of_three_regions(radial_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    result = compare(radial_file, *ONE, "--metrics", "ssim,nrmse", "--force")
    assert result.exit_code == 0
    for heading in ("SSIM", "dyn. NRMSE", "stat. SSIM", "stat.: the rest"):
        assert heading in result.stdout
    assert "PSNR" not in result.stdout
    page = (radial_file.parent / "page.html").read_text()
    assert page.count("<th>SSIM</th>") == 2 and "<th>PSNR, dB</th>" not in page
    found = json.loads(compare(radial_file, *ONE, "--metrics", "ssim", "--force", "--json").stdout)
    assert list(found["methods"][0]["scores"]["static"]) == ["ssim"]


def test_scores_that_need_weights_are_refused_before_anything_runs(
    radial_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAINR_WEIGHTS", str(tmp_path / "none"))
    assert_one_error(compare(radial_file, *ONE, "--metrics", "dists"), 4)
    assert not (radial_file.parent / "page.html").exists()


def test_frames_slices_and_matrix_as_asked(stack_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "reference.npy", np.random.default_rng(0).random((3, 3, 24, 24)))
    options = ("--reference", tmp_path / "reference.npy", "--slices", "1", "--spokes-per-frame", 18, "--matrix", 24)
    result = compare(stack_file, *ONE, *options, "--json")
    assert result.exit_code == 0
    scan = json.loads(result.stdout)["scan"]
    assert (scan["slices"], scan["frames"], scan["matrix"]) == (1, 3, [24, 24])


@pytest.fixture
def diverging(monkeypatch: pytest.MonkeyPatch) -> None:
    def diverge(*_: object) -> None:
        raise Diverged("the fit diverged", "its loss was nan", "lower the learning rate")

    monkeypatch.setattr("dainr.methods.dainr.method.Dainr.__call__", diverge)


@pytest.mark.usefixtures("diverging")
def test_a_method_that_fails_leaves_the_page_of_the_others(radial_file: Path) -> None:
    result = compare(radial_file, *BOTH)
    assert result.exit_code == 5
    assert "dainr: dainr failed: the fit diverged" in result.stderr
    assert "failed" in result.stdout
    page = (radial_file.parent / "page.html").read_text()
    assert "the fit diverged" in page
    assert "gridding" in page


@pytest.mark.usefixtures("diverging")
def test_where_all_fail_nothing_is_written(radial_file: Path) -> None:
    assert_one_error(compare(radial_file, "-q", *TINY_OPTIONS, "--methods", "dainr"), 5)
    assert list(radial_file.parent.iterdir()) == [radial_file]


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (2, ("--methods", "magic")),
        (2, ("--methods", "dainr:ultra")),
        (2, ("--methods", "gridding:paper")),
        (2, ("--methods", "gridding,gridding")),
        (2, ("--methods", "gridding", "--iterations", "5")),
        (2, ("--methods", "gridding", "--set", "wrong=1")),
        (2, ("--methods", "gridding", "--device", "abacus")),
        (2, ("--methods", "gridding", "-o", "page.pdf")),
        (2, ("--methods", "gridding", "-o", "nowhere/page.html")),
        (3, ("--methods", "gridding", "--reference", "missing.npy")),
        (3, ("--methods", "gridding", "--spokes-per-frame", "5")),
    ],
)
def test_a_bad_request_is_refused_and_leaves_nothing(
    radial_file: Path, monkeypatch: pytest.MonkeyPatch, code: int, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(radial_file.parent)
    monkeypatch.setattr("dainr.methods.classical.gridding.Gridding.__call__", lambda *_: pytest.fail("it ran"))
    assert_one_error(compare(radial_file, "-q", *options), code)
    assert list(radial_file.parent.iterdir()) == [radial_file]


def test_without_a_reference_there_is_nothing_to_compare(stack_file: Path) -> None:
    result = compare(stack_file, *ONE)
    assert_one_error(result, 2)
    assert "--reference" in result.stderr


def test_a_page_is_replaced_only_by_force(radial_file: Path) -> None:
    page = radial_file.parent / "page.html"
    page.write_text("mine")
    assert_one_error(compare(radial_file, *ONE, "-q"), 2)
    assert page.read_text() == "mine"
    assert compare(radial_file, *ONE, "-q", "--force").exit_code == 0
    assert "gridding" in page.read_text()


def test_a_reference_that_cannot_be_scored_against_leaves_nothing(radial_file: Path, radial_scan: Scan) -> None:
    path = radial_file.parent / "nan.npy"
    np.save(path, np.full((1, 6, 32, 32), np.nan, np.float32))
    assert_one_error(compare(radial_file, *ONE, "-q", "--reference", path), 3)
    assert {p.name for p in radial_file.parent.iterdir()} == {radial_file.name, path.name}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_comparison_says_that_nothing_was_written(radial_file: Path, how: signal.Signals) -> None:
    page = radial_file.parent / "page.html"
    process = start(
        "compare",
        radial_file,
        "-o",
        page,
        "--methods",
        "dainr",
        *TINY_OPTIONS,
        "--set",
        "iterations=100000",
        "--set",
        "patience=0",
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 120
    while "step 1 " not in (line := process.stderr.readline()):
        assert line, "it ended by itself"
        assert time.monotonic() < deadline
    process.send_signal(how)
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (130, "")
    assert "nothing was written" in stderr
    assert "Traceback" not in stderr
    assert list(radial_file.parent.iterdir()) == [radial_file]
