import json
from pathlib import Path

import pytest

from dainr.io.scans import native
from dainr.scan import Scan

from . import TINY_OPTIONS, assert_one_error, invoke, succeed


@pytest.fixture
def scan_file(radial_scan: Scan, tmp_path: Path) -> Path:
    native.write(radial_scan, tmp_path / "scan.h5")
    return tmp_path / "scan.h5"


def test_a_budget_is_chosen_and_written_as_a_preset_that_fit_takes(scan_file: Path, tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"
    options = [*TINY_OPTIONS, "--set", "coarse_steps=2"]
    result = succeed("tune", scan_file, "-o", preset, "--budgets", "0.1s,0.3s", "--reference", scan_file, *options)
    assert result.stdout == ""
    assert "s is enough" in result.stderr and "PSNR" in result.stderr
    assert "s is enough" in preset.with_suffix(".html").read_text()
    succeed("fit", scan_file, "-o", tmp_path / "run", "--preset", preset, "-q")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["slices"][0]["fit"]["stopped"] == "budget"


def test_json_is_one_object(scan_file: Path, tmp_path: Path) -> None:
    result = succeed("tune", scan_file, "-o", tmp_path / "a.toml", "--budgets", "0.1s", "--json", *TINY_OPTIONS)
    found = json.loads(result.stdout)
    (case,) = found["cases"]
    assert found["budget_s"] == case["trials"][0]["budget_s"] == 0.1
    assert (case["scan"], case["rank_correlation"]) == ("scan.h5", None)
    assert result.stderr == ""


def test_of_a_folder_what_can_be_read_is_fitted(scan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"no scan")
    result = succeed("tune", tmp_path, "-o", tmp_path / "a.toml", "--budgets", "0.1s", *TINY_OPTIONS)
    assert "bad is left out" in result.stderr and "0.1 s is enough" in result.stderr
    scan_file.unlink()
    assert_one_error(invoke("tune", tmp_path, "-o", tmp_path / "b.toml", "-q"), 3)


def test_attempts_are_counted_over_calls(scan_file: Path, tmp_path: Path) -> None:
    options = (*TINY_OPTIONS, "--set", "coarse_steps=2", "--set", "iterations=5", "-o", tmp_path / "a.toml")
    first = succeed("tune", scan_file, "--trials", "2", *options)
    assert first.stderr.count("  attempt ") == 2
    found = json.loads(succeed("tune", scan_file, "--trials", "3", "--json", "--force", *options).stdout)
    assert [attempt["number"] for attempt in found["attempts"]] == [0, 1, 2]
    assert found["chosen"] in found["attempts"]
    assert "attempts" in (tmp_path / "a.html").read_text()
    succeed("fit", scan_file, "-o", tmp_path / "run", "--preset", tmp_path / "a.toml", "-q")


@pytest.mark.parametrize(
    "options",
    [
        ("--trials", "2", "--budgets", "1s"),
        ("--trials", "2", "--reference", "r.npy"),
        ("--trials", "2", "--preset", "paper"),
        ("--budgets", "soon"),
        ("--budgets", ""),
        ("--preset", "best"),
        ("--set", "iteration=3"),
        ("-o", "preset.txt"),
    ],
)
def test_wrong_requests_are_refused_and_leave_nothing(
    options: tuple[str, ...], scan_file: Path, tmp_path: Path
) -> None:
    output = () if "-o" in options else ("-o", tmp_path / "mine.toml")
    assert_one_error(invoke("tune", scan_file, *output, *options), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.h5"]


def test_a_preset_is_replaced_only_when_asked(scan_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("mine")
    assert_one_error(invoke("tune", scan_file, "-o", tmp_path / "mine.toml"), 2)
    assert (tmp_path / "mine.toml").read_text() == "mine"
