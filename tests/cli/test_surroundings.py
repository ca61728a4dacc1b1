"""Names that are no UTF-8, streams that are closed or full, a terminal of a few columns."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from dainr.cli.progress import Progress
from dainr.runs.folder import REPORT, RunFolder
from tests.cli import CONSOLE_SCRIPT, GRIDDING, assert_one_error, invoke, succeed

ODD = os.fsdecode(b"ca\xffse")


@pytest.fixture
def odd_file(radial_file: Path) -> Path:
    if sys.platform == "darwin":
        pytest.skip("names are UTF-8 there")
    return radial_file.rename(radial_file.with_name(f"{ODD}.h5"))


def test_a_scan_whose_name_is_no_utf8_is_fitted(odd_file: Path, tmp_path: Path) -> None:
    succeed("fit", odd_file, "-o", tmp_path / ODD, "-q", *GRIDDING)
    folder = RunFolder(tmp_path / ODD)
    assert folder.read_config()["run"]["scan"].endswith("ca%FFse.h5")
    assert folder.file(REPORT).read_text(encoding="utf-8").endswith("</html>")
    succeed("export", folder.path, tmp_path / f"{ODD}.npy")
    succeed("fit", odd_file, "-o", tmp_path / ODD, "-q", "--resume")


def test_where_such_a_name_cannot_be_kept_one_sentence_says_so(radial_file: Path, tmp_path: Path) -> None:
    odd = tmp_path / f"{ODD}.toml"
    odd.write_text("")
    assert_one_error(invoke("fit", radial_file, "--preset", odd, "-o", tmp_path / "run", "-q"), 2)
    assert not (tmp_path / "run").exists()


def test_a_comparison_of_such_a_scan_has_its_page(odd_file: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    succeed("compare", odd_file, "--methods", "gridding", "-o", page, "-q", "--set", "nufft=finufft")
    assert "</html>" in page.read_text(encoding="utf-8")


def test_figures_are_not_lost_on_a_narrow_terminal(
    radial_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    asked = ("compare", radial_file, "--methods", "gridding", "-o", tmp_path / "page.html", "-q")
    told = succeed(*asked, "--set", "nufft=finufft").stdout
    assert all(word in told for word in ("gridding", "HaarPSI", "NRMSE"))


def test_a_log_that_cannot_be_written_ends_no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(typer, "echo", full)
    Progress().say("a line")


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", "<&-"])
def test_closed_streams_are_no_files(radial_file: Path, closed: str) -> None:
    """A reader's pipes would get their numbers, and what is printed would go into them."""
    command = f'"{CONSOLE_SCRIPT}" info "{radial_file}" {closed}'
    assert subprocess.run(["sh", "-c", command], check=False, capture_output=True, timeout=60).returncode == 0


def test_what_an_encoding_lacks_is_printed_otherwise(odd_file: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}
    told = subprocess.run(
        [CONSOLE_SCRIPT, "info", odd_file], env=environment, check=False, capture_output=True, timeout=60
    )
    assert (told.returncode, told.stderr) == (0, b"")
    assert b"ca?se.h5" in told.stdout


def test_the_date_may_jump(radial_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jumps, now = itertools.cycle((0.0, -3e5, 3e7, -6e8)), time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps))
    succeed("fit", radial_file, "-o", tmp_path / "run", "-q", *GRIDDING)
    for suffix in (".nii.gz", "_dicom"):
        succeed("export", tmp_path / "run", tmp_path / f"cine{suffix}")
        succeed("export", tmp_path / "run", tmp_path / f"cine{suffix}", "--force")
    assert 0 <= RunFolder(tmp_path / "run").read_record()["seconds"]["total"] < 600
    assert {path.name for path in tmp_path.iterdir()} >= {"run", "cine.nii.gz", "cine_dicom"}
    assert not list(tmp_path.glob(".dainr*"))


def test_in_a_folder_that_is_gone_one_sentence_says_so(tmp_path: Path) -> None:
    command = f'cd "{tmp_path}"; mkdir gone; cd gone; rmdir "{tmp_path}/gone"; exec "{CONSOLE_SCRIPT}" methods'
    told = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True, timeout=60)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "dainr: the folder you are in is gone: go to another.\n"


@pytest.mark.parametrize(
    "error", [RuntimeError("can't start new thread"), BlockingIOError(11, "Resource temporarily unavailable")]
)
def test_where_no_process_may_begin_one_sentence_says_so(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise error

    monkeypatch.setattr("dainr.methods.get_method", none)
    ended = invoke("methods")
    assert_one_error(ended, 2)
    assert "starts no more processes" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("own_text", ["0", "1"])
def test_in_turkish_a_capital_i_is_another_letter(radial_file: Path, tmp_path: Path, own_text: str) -> None:
    """Python itself knows no such languages, but the libraries that it loads do."""
    if b"tr_TR.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, check=False).stdout:
        pytest.skip("the locale is not installed")
    environment = os.environ | {"LC_ALL": "tr_TR.UTF-8", "PYTHONUTF8": own_text}
    del environment["OMP_WAIT_POLICY"]  # what the program sets itself, and GNU's OpenMP complains of where it is wrong
    odd = radial_file.rename(radial_file.with_name("İstanbul.h5"))
    for command in (
        ["fit", odd, "-o", tmp_path / "koşu", "-q", *GRIDDING],
        ["export", tmp_path / "koşu", tmp_path / "IŞIK.mp4"],
    ):
        told = subprocess.run(
            [CONSOLE_SCRIPT, *command], env=environment, check=False, capture_output=True, timeout=200
        )
        assert (told.returncode, told.stdout) == (0, b"") and b"libgomp" not in told.stderr
