"""A run that is killed or interrupted goes on with --resume and ends as if nothing had happened."""

import json
import shutil
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.torch import save_file
from torch import zeros

from dainr.io.scans import native
from dainr.machine.lock import LOCK
from dainr.runs.folder import RunFolder
from dainr.scan import Scan

from . import TINY_OPTIONS, assert_one_error, invoke, start, succeed
from .conftest import FinishedRun

ITERATIONS = 150
OPTIONS = (*TINY_OPTIONS, "--set", f"iterations={ITERATIONS}", "--set", "checkpoint_every_s=0")
LATEST_START_S = 120


def cine(run: Path) -> np.ndarray:
    with h5py.File(run / "cine.h5") as file:
        return file["cine"][()]


def logged_steps(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]


def status(run: Path) -> str:
    return json.loads((run / "run.json").read_text())["status"]


def stop_part_way(scan: Path, run: Path, number: signal.Signals) -> tuple[int, str, str]:
    """Start a fit in a process of its own and stop it by a signal once it has checkpointed and logged."""
    process = start("fit", scan, "-o", run, *OPTIONS)
    deadline = time.monotonic() + LATEST_START_S
    log = run / "log.jsonl"
    while not (log.is_file() and log.read_text().endswith("\n") and (run / "state.safetensors").is_file()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=LATEST_START_S)
    return process.returncode, stdout, stderr


@pytest.fixture(scope="module")
def scan_file(radial_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scan") / "radial.h5"
    native.write(radial_scan, path)
    return path


@pytest.fixture(scope="module")
def undisturbed(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    succeed("fit", scan_file, "-o", run, *OPTIONS)
    return run


@pytest.fixture(scope="module")
def killed_once(scan_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("killed") / "run"
    code, _, _ = stop_part_way(scan_file, run, signal.SIGKILL)
    assert code == -signal.SIGKILL
    (run / LOCK).unlink()  # which nobody holds
    RunFolder(run).tidy()
    return run


@pytest.fixture
def killed(killed_once: Path, tmp_path: Path) -> Path:
    """A copy of the folder that a killed fit left."""
    return shutil.copytree(killed_once, tmp_path / "run")


def assert_same_result(run: Path, undisturbed: Path) -> None:
    assert status(run) == "done"
    assert np.array_equal(cine(run), cine(undisturbed))
    assert logged_steps(run) == logged_steps(undisturbed)
    assert {path.name for path in run.iterdir()} == {path.name for path in undisturbed.iterdir()}


def test_a_killed_fit_left_half_a_run(killed: Path) -> None:
    assert status(killed) == "running"
    assert not (killed / "cine.h5").exists()
    assert logged_steps(killed)[-1] < ITERATIONS


def test_a_killed_fit_resumes_to_the_same_cine(scan_file: Path, killed: Path, undisturbed: Path) -> None:
    result = succeed("fit", scan_file, "-o", killed, "--resume")
    assert result.stdout == ""
    assert_same_result(killed, undisturbed)


def test_a_run_goes_on_where_it_was_moved_to_and_its_scan_too(
    scan_file: Path, killed: Path, undisturbed: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    scan, run = tmp_path / "other" / "name.h5", killed.rename(tmp_path / "other" / "place")
    shutil.copy(scan_file, scan)
    succeed("fit", scan, "-o", run, "--resume")
    assert_same_result(run, undisturbed)
    run = run.rename(tmp_path / "last")
    succeed("report", run)
    succeed("export", run, tmp_path / "cine.npy")
    assert np.array_equal(np.load(tmp_path / "cine.npy"), cine(undisturbed))


def test_a_fit_killed_before_its_first_checkpoint_resumes(scan_file: Path, killed: Path, undisturbed: Path) -> None:
    (killed / "state.safetensors").unlink()
    (killed / ".dainr-parts").mkdir(exist_ok=True)
    for half_written in ("state.safetensors", ".tmpQ2w3E4"):
        (killed / ".dainr-parts" / half_written).write_bytes(b"half")
    with (killed / "log.jsonl").open("a") as file:
        file.write('{"slice": 0, "st')
    succeed("fit", scan_file, "-o", killed, "--resume", *OPTIONS)
    assert_same_result(killed, undisturbed)


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_an_interrupted_fit_saves_and_says_how_to_resume(
    scan_file: Path, undisturbed: Path, tmp_path: Path, how: signal.Signals
) -> None:
    run = tmp_path / "run"
    code, stdout, stderr = stop_part_way(scan_file, run, how)
    assert (code, stdout) == (130, "")
    assert "--resume" in stderr
    assert "Traceback" not in stderr
    assert status(run) == "interrupted"
    succeed("fit", scan_file, "-o", run, "--resume")
    assert_same_result(run, undisturbed)


@pytest.mark.parametrize(
    "options",
    [
        ("--iterations", 5),
        ("--seed", 1),
        ("--set", "learning_rate=1e-4"),
        ("--set", "warped.width=32"),
        ("--method", "gridding"),
        ("--preset", "other"),
        ("--spokes-per-frame", 3),
        ("--matrix", 24),
        ("--slices", 0),
    ],
)
def test_other_settings_are_refused_and_the_run_is_left_alone(
    scan_file: Path, killed: Path, options: tuple[object, ...]
) -> None:
    before = {path.name: path.read_bytes() for path in killed.iterdir()}
    assert_one_error(invoke("fit", scan_file, "-o", killed, "--resume", *options), 2)
    assert {path.name: path.read_bytes() for path in killed.iterdir()} == before


def test_another_scan_is_refused(cartesian_file: Path, killed: Path) -> None:
    assert_one_error(invoke("fit", cartesian_file, "-o", killed, "--resume"), 2)


def test_a_complete_run_is_left_alone(finished: FinishedRun) -> None:
    before = {path.name: path.read_bytes() for path in finished.folder.iterdir()}
    result = succeed("fit", finished.scan, "-o", finished.folder, "--resume", *TINY_OPTIONS)
    assert "nothing to resume" in result.stderr
    assert {path.name: path.read_bytes() for path in finished.folder.iterdir()} == before


@pytest.mark.parametrize("options", [("--set", "features=none"), ("--set", "encoder=none", "--set", "nufft=auto")])
def test_settings_of_the_run_are_known_by_their_old_names_too(
    finished: FinishedRun, options: tuple[object, ...]
) -> None:
    assert "nothing to resume" in succeed("fit", finished.scan, "-o", finished.folder, "--resume", *options).stderr


@pytest.mark.parametrize("pair", ["features=mdsr", "moments=2", "subframes=2"])
def test_other_settings_by_their_old_names_are_refused(finished: FinishedRun, pair: str) -> None:
    result = invoke("fit", finished.scan, "-o", finished.folder, "--resume", "--set", pair)
    assert_one_error(result, 2)
    assert ("encoder" if "features" in pair else "subframes") in result.stderr


@pytest.mark.parametrize(("matrix", "code"), [("32x32", 0), ("032", 0), ("24", 2)])
def test_a_binning_is_compared_by_what_it_means(finished: FinishedRun, tmp_path: Path, matrix: str, code: int) -> None:
    run = shutil.copytree(finished.folder, tmp_path / "run")
    config = (run / "config.toml").read_text()
    stored = config.replace("[run.binning]\n", '[run.binning]\nmatrix = "32"\nslices = "0"\n')
    assert stored != config
    (run / "config.toml").write_text(stored)
    asked = ("--matrix", matrix, "--slices", "0-0")
    assert invoke("fit", finished.scan, "-o", run, "--resume", *asked).exit_code == code


def test_a_folder_without_a_run_cannot_be_resumed(scan_file: Path, tmp_path: Path) -> None:
    assert_one_error(invoke("fit", scan_file, "-o", tmp_path / "nowhere", "--resume"), 3)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("damage", ["truncated", "empty", "other content", "other tensors"])
def test_a_damaged_state_is_bad_data(scan_file: Path, killed: Path, damage: str) -> None:
    state = killed / "state.safetensors"
    whole = state.read_bytes()
    if damage == "other tensors":
        save_file({"weight": zeros(3)}, state)
    else:
        state.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "other content": b"no state"}[damage])
    assert_one_error(invoke("fit", scan_file, "-o", killed, "--resume", "-q"), 3)
