import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from dainr.io.scans import native
from dainr.scan import Scan

from . import succeed


def test_words_say_what_is_there_and_what_a_fit_would_do(radial_file: Path) -> None:
    result = succeed("info", radial_file)
    assert result.stderr == ""
    for fact in (str(radial_file), "radial", "4 coils", "32 x 32", "6 frames of 9 spokes", "noise measurement"):
        assert fact in result.stdout
    assert "A fit would:" in result.stdout


def test_json_is_one_object_with_the_facts(radial_file: Path) -> None:
    facts = json.loads(succeed("info", radial_file, "--json").stdout)
    assert (facts["sampling"], facts["matrix"], facts["frames"]) == ("radial", [32, 32], 6)
    assert (facts["readouts"], facts["readouts_per_frame"], facts["coils"]) == (54, [9, 9], 4)
    assert facts["reference"] is True
    assert facts["acceleration"] == 5.6


def test_cartesian_scans_are_told_apart(cartesian_file: Path) -> None:
    assert json.loads(succeed("info", cartesian_file, "--json").stdout)["sampling"] == "Cartesian"
    assert "without a NUFFT" in succeed("info", cartesian_file).stdout


def test_a_scan_without_frames_says_how_to_choose_them(radial_scan: Scan, tmp_path: Path) -> None:
    native.write(replace(radial_scan, frame=None), tmp_path / "unbinned.h5")
    shown = succeed("info", tmp_path / "unbinned.h5").stdout
    assert "--spokes-per-frame" in shown
    assert "--frames-per-cycle" in shown
    facts = json.loads(succeed("info", tmp_path / "unbinned.h5", "--json").stdout)
    assert facts["frames"] is None


def test_info_changes_nothing(radial_file: Path) -> None:
    before = radial_file.read_bytes()
    succeed("info", radial_file)
    assert radial_file.read_bytes() == before
    assert list(radial_file.parent.iterdir()) == [radial_file]


def test_info_waits_for_no_library_of_a_fit(radial_file: Path) -> None:
    probe = (
        "import sys; from typer.testing import CliRunner; from dainr.cli import app;"
        "done = CliRunner().invoke(app, ['info', sys.argv[1]]);"
        "print(done.exit_code, [m for m in ('torch', 'numba', 'finufft', 'scipy', 'h5py') if m in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", probe, radial_file], capture_output=True, text=True, check=True)
    assert told.stdout == "0 []\n"
