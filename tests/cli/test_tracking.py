"""`dainr propagate` and `dainr strain`: what they write, say and refuse."""

import csv
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dainr.runs.run import load_run

from . import GRIDDING, assert_one_error, invoke, succeed
from .conftest import FinishedRun


@pytest.fixture
def mask(finished: FinishedRun, tmp_path: Path) -> Path:
    """A ring, label 2, and what it encloses, label 1, drawn over an export of the run."""
    succeed("export", finished.folder, tmp_path / "cine.nii.gz")
    image = nibabel.load(tmp_path / "cine.nii.gz")
    away = np.hypot(*np.meshgrid(np.arange(32) - 17, np.arange(32) - 16, indexing="ij"))
    labels = np.where(away < 4, 1, np.where(away < 8, 2, 0)).astype(np.uint8)
    nibabel.nifti1.Nifti1Image(labels[..., None], image.affine).to_filename(tmp_path / "mask.nii.gz")
    return tmp_path / "mask.nii.gz"


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_labels_are_carried_and_told(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    result = succeed("propagate", finished.folder, mask, tmp_path / "out", "--frame", 1)
    labels = np.asarray(nibabel.load(tmp_path / "out" / "labels.nii.gz").dataobj)
    drawn = np.asarray(nibabel.load(mask).dataobj)
    assert labels.shape == (32, 32, 1, 6) and labels.dtype == np.int16
    assert (labels[..., 1] == drawn).mean() > 0.99
    table = rows(tmp_path / "out" / "volumes.csv")
    assert len(table) == 12 and {row["label"] for row in table} == {"1", "2"}
    assert float(table[1]["area_mm2_slice_0"]) == pytest.approx(100 * (drawn == 1).sum(), rel=0.02)
    assert float(table[1]["volume_ml"]) == pytest.approx(float(table[1]["area_mm2_slice_0"]) * 8 / 1000, rel=1e-3)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    one = summary["labels"]["1"]
    assert one["stroke_ml"] == pytest.approx(one["end_diastolic_ml"] - one["end_systolic_ml"])
    assert (tmp_path / "out" / "volumes.svg").read_text().startswith("<svg")
    assert "label 1: " in result.stdout and "Of a single slice" in result.stderr


def test_low_trust_is_said_from_the_verdict(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    level = load_run(finished.folder).record["verdict"][0]["level"]
    assert level != "good"  # of so short a fit
    said = succeed("propagate", finished.folder, mask, tmp_path / "out").stderr
    assert "Trust is low, the report of the run says" in said


def test_the_summary_as_json(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    printed = json.loads(succeed("propagate", finished.folder, mask, tmp_path / "out", "--json").stdout)
    assert printed == json.loads((tmp_path / "out" / "summary.json").read_text())


def test_strain_of_a_drawn_wall(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    result = succeed("strain", finished.folder, tmp_path / "out", "--mask", mask, "--label", 2)
    table = rows(tmp_path / "out" / "strain.csv")
    assert len(table) == 12 and {row["direction"] for row in table} == {"radial", "circumferential"}
    assert all(abs(float(row[f"sector_{n}"])) < 1e-3 for row in table if row["frame"] == "0" for n in range(1, 7))
    radial = nibabel.load(tmp_path / "out" / "radial.nii.gz")
    assert radial.shape == (32, 32, 1, 6)
    drawn = np.asarray(nibabel.load(mask).dataobj) == 2
    values = np.asarray(radial.dataobj)
    assert np.abs(values[~drawn[..., 0]]).max() == 0
    np.testing.assert_allclose(values[drawn].mean(0), [float(r["wall"]) for r in table[:6]], atol=1e-3)
    assert (tmp_path / "out" / "strain.svg").is_file() and "radial strain up to" in result.stdout


def test_strain_of_a_ring_about_a_centre(finished: FinishedRun, tmp_path: Path) -> None:
    succeed("strain", finished.folder, tmp_path / "out", "--centre", "16,17", "--radii", "40,80")
    assert len(rows(tmp_path / "out" / "strain.csv")) == 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "nothing says where it is"),
        (("--radii", "3,5"), "nothing says where it is"),
        (("--centre", "x", "--radii", "3,5"), "it is not two numbers"),
        (("--centre", "3,3", "--radii", "5,3"), "holds no pixel"),
        (("--centre", "16,16", "--radii", "30,50", "--frame", "9"), "there is no such frame"),
    ],
)
def test_a_wall_that_is_nowhere_is_refused(
    finished: FinishedRun, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    result = invoke("strain", finished.folder, tmp_path / "out", *options)
    assert_one_error(result, 2)
    assert words in result.stderr and not (tmp_path / "out").exists()


def test_several_labels_need_one_named(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    for options, words in (((), "say which is the wall: --label N"), (("--label", 7), "holds 1, 2")):
        result = invoke("strain", finished.folder, tmp_path / "out", "--mask", mask, *options)
        assert_one_error(result, 2)
        assert words in result.stderr


def test_what_is_there_is_not_replaced(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "volumes.csv").write_text("mine")
    assert_one_error(invoke("propagate", finished.folder, mask, tmp_path / "out"), 2)
    assert (tmp_path / "out" / "volumes.csv").read_text() == "mine"
    succeed("propagate", finished.folder, mask, tmp_path / "out", "--force")


def test_methods_without_a_deformation_refuse(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    succeed("fit", finished.scan, "-o", tmp_path / "run", *GRIDDING)
    for command in (("propagate", tmp_path / "run", mask, tmp_path / "out"),
                    ("strain", tmp_path / "run", tmp_path / "out", "--mask", mask, "--label", 2)):  # fmt: skip
        result = invoke(*command)
        assert_one_error(result, 2)
        assert "fitted no deformation" in result.stderr


def test_the_report_has_the_strain_of_a_mask(finished: FinishedRun, mask: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    succeed("report", run, "--mask", mask, "--label", 2)
    assert "Strain of the wall" in (run / "report.html").read_text()
    assert_one_error(invoke("report", run, "--mask", mask), 2)
    assert_one_error(invoke("report", run, "--mask", mask, "--repair"), 2)
    succeed("report", run)
    assert "Strain of the wall" not in (run / "report.html").read_text()
