"""What is said of a scan file beside it: taken by every command that reads one, recorded, kept and warned of."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest

from dainr.cli.options import READING
from dainr.io import load
from dainr.io.images.cine import read_cine
from dainr.io.scans import native
from dainr.scan import Scan

from . import GRIDDING, assert_one_error, invoke, succeed

ASSUMED = ("pixel_mm", "slice_mm", "frame_ms")
SAID = ("--pixel-mm", "2x3", "--slice-mm", "6", "--frame-ms", "50")


@pytest.fixture
def bare(radial_scan: Scan, tmp_path: Path) -> Path:
    """A scan whose file holds neither lengths nor times."""
    path = tmp_path / "bare.h5"
    native.write(radial_scan.changed(assumed=ASSUMED), path)
    return path


@pytest.mark.parametrize("command", ["fit", "batch", "tune", "compare", "info", "convert"])
def test_every_command_that_reads_scans_takes_them_under_their_own_heading(command: str) -> None:
    shown = succeed(command, "--help").stdout
    _, _, panel = shown.partition("Reading the file:")
    for name in READING:
        assert f"--{name.replace('_', '-')} " in panel


def test_info_says_what_is_assumed_until_it_is_said(bare: Path) -> None:
    assert json.loads(succeed("info", bare, "--json").stdout)["assumed"] == list(ASSUMED)
    assert "say --pixel-mm, --slice-mm, --frame-ms" in succeed("info", bare).stdout
    said = json.loads(succeed("info", bare, "--json", *SAID).stdout)
    assert (said["pixel_mm"], said["slice_thickness_mm"], said["assumed"]) == ([2, 3], 6, [])


def test_convert_keeps_what_was_said_and_what_still_is_assumed(bare: Path, tmp_path: Path) -> None:
    succeed("convert", bare, tmp_path / "said.h5", "--pixel-mm", "2x3")
    found = load(tmp_path / "said.h5")
    assert found.assumed == ASSUMED[1:]
    np.testing.assert_allclose(found.fov_mm, (2 * found.matrix[0], 3 * found.matrix[1]))


def test_a_run_records_it_and_its_exports_need_no_warning(bare: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("fit", bare, "-o", run, *GRIDDING, *SAID)
    stored = tomllib.loads((run / "config.toml").read_text())["run"]["reading"]
    assert stored == {"pixel_mm": "2x3", "slice_mm": 6.0, "frame_ms": 50.0}
    assert json.loads((run / "run.json").read_text())["scan"]["assumed"] == []
    cine, _ = read_cine(run / "cine.h5")
    assert cine.spacing_mm == (2, 3)
    np.testing.assert_allclose(cine.frame_spacing, 0.05)
    assert "assumed" not in succeed("export", run, tmp_path / "cine.nii.gz").stderr


def test_exports_warn_as_long_as_lengths_or_times_are_assumed(bare: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("fit", bare, "-o", run, *GRIDDING)
    assert json.loads((run / "run.json").read_text())["scan"]["assumed"] == list(ASSUMED)
    warned = succeed("export", run, tmp_path / "cine.nii.gz").stderr.splitlines()[0]
    assert "the size of pixels, the slice thickness and the times of frames are assumed" in warned
    assert "--pixel-mm, --slice-mm, --frame-ms" in warned
    assert "the times of frames are assumed" in succeed("export", run, tmp_path / "cine.gif").stderr
    assert "assumed" not in succeed("export", run, tmp_path / "cine.npy").stderr


def test_a_run_is_resumed_with_what_it_was_told_and_nothing_else(bare: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("fit", bare, "-o", run, *GRIDDING, *SAID)
    assert "complete" in succeed("fit", bare, "-o", run, "--resume").stderr
    assert "complete" in succeed("fit", bare, "-o", run, "--resume", *SAID).stderr
    refused = invoke("fit", bare, "-o", run, "--resume", "--slice-mm", "7")
    assert_one_error(refused, 2)
    assert "what is said of the scan file" in refused.stderr


@pytest.mark.parametrize(
    "said", [("--pixel-mm", "0"), ("--affine", "none.txt"), ("--readout-ms", "1", "--frame-ms", "1")]
)
def test_what_cannot_be_said_is_one_sentence_and_leaves_nothing(
    bare: Path, tmp_path: Path, said: tuple[str, ...]
) -> None:
    assert_one_error(invoke("fit", bare, "-o", tmp_path / "run", *GRIDDING, *said), 2)
    assert not (tmp_path / "run").exists()
    assert_one_error(invoke("info", bare, *said), 2)


def test_a_cycle_that_stands_for_one_second_is_warned_of_until_its_frames_have_times(
    radial_scan: Scan, tmp_path: Path
) -> None:
    gathered = radial_scan.changed(times=np.zeros_like(radial_scan.times))
    native.write(gathered, tmp_path / "gated.h5")
    succeed("fit", tmp_path / "gated.h5", "-o", tmp_path / "run", *GRIDDING)
    assert "the times of frames are assumed" in succeed("export", tmp_path / "run", tmp_path / "a.nii.gz").stderr
    succeed("fit", tmp_path / "gated.h5", "-o", tmp_path / "run", *GRIDDING, "--frame-ms", "40", "--force")
    assert "assumed" not in succeed("export", tmp_path / "run", tmp_path / "b.nii.gz").stderr
