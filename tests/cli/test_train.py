"""`dainr train`: what it says and writes, going on after Ctrl-C and kill -9, what it refuses."""

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from dainr.io.scans import native
from dainr.networks.weights import FOLDER_VARIABLE
from dainr.simulate import SimulationConfig, simulate_phantom

from . import GRIDDING, assert_one_error, invoke, start, succeed

SMALL = ("--device", "cpu", "--method", "crnn", "--set", "nufft=compiled", "--set", "channels=2", "--set", "cascades=2")
QUICK = (*SMALL, "--set", "validate_every=2", "--set", "holdout=0.2")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantoms of 24 x 24, 3 frames, and a file that is no scan. Read only."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(2):
        scan = simulate_phantom(SimulationConfig(spokes=8, coils=2, frames=3, matrix=24, seed=number))
        native.write(scan, folder / f"scan_{number}.h5")
    (folder / "text.h5").write_text("no scan")
    return folder


def test_training_applying_and_installing_by_name(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "weights"))
    weights = tmp_path / "small.safetensors"
    ended = succeed("train", scans, "-o", weights, *QUICK, "--iterations", 3, "--json")
    found = json.loads(ended.stdout)
    assert ended.stderr == "" and found["steps"] == 3 and found["weights"] == str(weights)
    assert list(found["skipped"]) == ["text"] and found["validation_error"] > 0
    assert "complete, nothing to resume" in succeed("train", scans, "-o", weights, "--resume").stderr
    longer = succeed("train", scans, "-o", weights, "--resume", "--iterations", 4)
    assert "scan 3 of 3 prepared" in longer.stderr and "skipped text: " in longer.stderr
    assert "1 validation scan" in longer.stderr and f"--set weights={weights} --iterations 0" in longer.stderr
    said = succeed("weights", "import", weights).stderr
    assert said.endswith("small.safetensors: installed; use it by --method crnn --set weights=small\n")
    assert "small: method crnn; from small.safetensors; " in succeed("weights").stdout
    fit = ("fit", scans / "scan_0.h5", "--method", "crnn", "--set", "nufft=finufft", "--device", "cpu", "-q")
    succeed(*fit, "-o", tmp_path / "applied", "--set", "weights=small", "--iterations", 0)
    succeed(*fit, "-o", tmp_path / "adapted", "--set", f"weights={weights}", "--iterations", 2)


def test_what_train_refuses(scans: Path, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    assert_one_error(invoke("train", scans, "-o", weights, "--method", "grasp"), 2)
    assert_one_error(invoke("train", scans, "-o", tmp_path / "w.pt", *QUICK), 2)
    assert_one_error(invoke("train", tmp_path / "none", "-o", weights, *QUICK), 2)
    assert_one_error(invoke("train", scans, "-o", weights, "--resume"), 3)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "w.md").write_text("mine")
    assert_one_error(invoke("train", scans, "-o", weights, *QUICK), 2)
    assert (tmp_path / "w.md").read_text() == "mine"
    (tmp_path / "w.md").unlink()
    (tmp_path / "w_training").mkdir()
    (tmp_path / "w_training/notes.txt").write_text("mine")
    assert_one_error(invoke("train", scans, "-o", weights, *QUICK, "--force"), 2)


def test_runs_and_trainings_do_not_replace_each_other(scans: Path, tmp_path: Path) -> None:
    fit = ("fit", scans / "scan_0.h5", "-q", *GRIDDING, "-o", tmp_path / "w_training")
    train = ("train", scans, "-q", *QUICK, "--iterations", 1, "-o", tmp_path / "w.safetensors")
    succeed(*fit)
    for force in ((), ("--force",)):
        assert_one_error(invoke(*train, *force), 2)
    assert (tmp_path / "w_training" / "cine.h5").is_file()
    shutil.rmtree(tmp_path / "w_training")
    succeed(*train)
    for force in ((), ("--force",)):
        assert_one_error(invoke(*fit, *force), 2)
    assert (tmp_path / "w_training" / "training.toml").is_file()


def test_a_training_is_replaced_by_force_alone(scans: Path, tmp_path: Path) -> None:
    arguments = ("train", scans, "-o", tmp_path / "w.safetensors", *QUICK, "--iterations", 2)
    succeed(*arguments)
    assert_one_error(invoke(*arguments), 2)
    assert_one_error(invoke(*arguments, "--resume", "--set", "learning_rate=0.5"), 2)
    succeed(*arguments, "--force")


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_killed_training_goes_on_bit_for_bit(scans: Path, tmp_path: Path, how: signal.Signals) -> None:
    arguments = ("train", scans, *SMALL, "--set", "validate_every=20", "--set", "holdout=0.2", "--iterations", 60)
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    succeed(*arguments, "-o", whole, "-q")
    process = start(*arguments, "-o", parts, "--set", "checkpoint_every_s=0")
    state, until = tmp_path / "parts_training/state.safetensors", time.monotonic() + 60
    while not state.is_file() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(how)
    _, said = process.communicate()
    assert process.returncode == (130 if how == signal.SIGINT else -9), said
    assert parts.is_file() == (how == signal.SIGINT)
    succeed(*arguments[:2], "-o", parts, "--resume", "-q")
    assert parts.stat().st_size > 0 and whole_of(parts) == whole_of(whole)


def whole_of(weights: Path) -> dict[str, bytes]:
    """The tensors of a file, as bytes."""
    from safetensors.torch import load_file

    return {name: tensor.numpy().tobytes() for name, tensor in load_file(weights).items()}
