"""What goes wrong ends with the documented code, one sentence on stderr, and nothing left behind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import jaxtyping
import numpy as np
import pytest
import torch

from . import GRIDDING, TINY_OPTIONS, Result, assert_one_error, invoke


def replace(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            array = change(file[name][()])
            del file[name]
            file[name] = array

    return damage


def without(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[name]

    return damage


def attribute(name: str, value: object) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            file.attrs[name] = value

    return damage


def put(array: np.ndarray, value: complex) -> np.ndarray:
    array[..., 3] = value
    return array


BAD_SCANS: dict[str, Callable[[Path], object]] = {
    "missing file": Path.unlink,
    "folder": lambda path: (path.unlink(), path.mkdir()),
    "empty file": lambda path: path.write_bytes(b""),
    "not HDF5": lambda path: path.write_text("kspace, but in words"),
    "truncated to the header": lambda path: path.write_bytes(path.read_bytes()[:600]),
    "truncated by half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "no kspace": without("kspace"),
    "no trajectory": without("trajectory"),
    "no times": without("times"),
    "no frames": without("frame"),
    "kspace of three axes": replace("kspace", lambda a: a[0]),
    "kspace of real numbers": replace("kspace", lambda a: a.real),
    "kspace of zeros": replace("kspace", np.zeros_like),
    "kspace without coils": replace("kspace", lambda a: a[:, :0]),
    "fewer readouts than times": replace("kspace", lambda a: a[:, :, :-1]),
    "trajectory in three dimensions": replace("trajectory", lambda a: np.concatenate([a, a[..., :1]], -1)),
    "times for another count": replace("times", lambda a: a[..., :-1]),
    "NaN in kspace": replace("kspace", lambda a: put(a, np.nan)),
    "Inf in kspace": replace("kspace", lambda a: put(a, np.inf)),
    "NaN in times": replace("times", lambda a: put(a, np.nan)),
    "NaN in trajectory": replace("trajectory", lambda a: a * np.float32(np.nan)),
    "k in radians": replace("trajectory", lambda a: 2 * np.pi * a),
    "k in units of the field of view": replace("trajectory", lambda a: 32 * a),
    "empty frames": replace("frame", lambda a: 2 * a),
    "negative frames": replace("frame", lambda a: a - 2),
    "too many frames": replace("frame", lambda a: 1000 * a),
    "fractions of frames": replace("frame", lambda a: a + 0.5),
    "phases in degrees": replace("phase", lambda a: 360 * a),
    "noise of other coils": replace("noise", lambda a: a[:2]),
    "words for times": replace("times", lambda a: np.full(a.shape, b"late", "S4")),
    "no such schema": attribute("schema", "other-scan"),
    "version of the future": attribute("version", 2),
    "matrix of words": attribute("matrix", "large"),
    "matrix of three numbers": attribute("matrix", [32, 32, 1]),
    "no field of view": attribute("fov_mm", [0.0, 0.0]),
}

POINTWISE = ("--device", "cpu", "--set", "field=pointwise")
BAD_REQUESTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "unknown preset": (2, ("--preset", "ultra")),
    "missing preset file": (2, ("--preset", "missing.toml")),
    "unknown method": (2, ("--method", "magic")),
    "unknown device": (2, ("--device", "abacus")),
    "device of another kind": (2, ("--device", "mps")),
    "unknown key": (2, ("--set", "learning_rat=1")),
    "ambiguous key": (2, ("--set", "levels=4")),
    "no value": (2, ("--set", "learning_rate")),
    "words for a number": (2, ("--set", "learning_rate=fast")),
    "NaN for a number": (2, ("--set", "learning_rate=nan")),
    "negative rate": (2, ("--set", "learning_rate=-1")),
    "no such choice": (2, ("--set", "encoder=magic")),
    "no such NUFFT": (2, ("--set", "nufft=magic")),
    "no steps": (2, ("--set", "iterations=0")),
    "held-out share beyond 1": (2, ("--set", "holdout=1.5")),
    "too many virtual coils": (2, ("--set", "virtual_coils=99")),
    "negative virtual coils": (2, ("--set", "virtual_coils=-1")),
    "budget of words": (2, ("--budget", "soon")),
    "budget in unknown units": (2, ("--budget", "3fortnights")),
    "budget of nothing": (2, ("--budget", "0s")),
    "matrix of words": (2, ("--matrix", "large")),
    "matrix of nothing": (2, ("--matrix", "0")),
    "matrix beyond all": (2, ("--matrix", "99999")),
    "slices of words": (2, ("--slices", "first")),
    "slices backwards": (2, ("--slices", "3-1")),
    "slice that is not there": (3, ("--slices", "7")),
    "frames of no spokes": (2, ("--spokes-per-frame", "0")),
    "frames of too many spokes": (2, ("--spokes-per-frame", "999")),
    "cycles of no frames": (2, ("--frames-per-cycle", "0")),
    "more phases than readouts": (2, ("--frames-per-cycle", "500")),
    "missing list of frames": (2, ("--frames", "missing.txt")),
    "breathing without a cycle": (2, ("--respiratory-bins", "4")),
    "breathing of a second": (2, ("--frames-per-cycle", "4", "--respiratory-bins", "4")),
    "a window of what": (2, ("--every", "4")),
    "a window that stands still": (2, ("--spokes-per-frame", "9", "--every", "0")),
    "a window with gaps": (2, ("--spokes-per-frame", "9", "--every", "10")),
    "two kinds of frames": (2, ("--spokes-per-frame", "9", "--frames-per-cycle", "6")),
    "setting of the other form": (2, ("--set", "canonical.width=32")),
    "missing weights": (2, (*POINTWISE, "--set", "encoder=mdsr", "--set", "encoder_weights=missing.safetensors")),
    "CUDA where there is none": (4, ("--device", "cuda")),
    "NUFFT of CUDA on the CPU": (4, ("--set", "nufft=cufinufft")),
    "grid of CUDA on the CPU": (4, (*POINTWISE, "--set", "grid=tinycudann")),
}


def fit(scan: Path, *options: str) -> Result:
    tiny = () if POINTWISE[-1] in options else TINY_OPTIONS
    return invoke("fit", scan, "-o", scan.parent / "run", "-q", *tiny, *options)


@pytest.mark.parametrize("name", BAD_SCANS)
def test_a_bad_scan_exits_3_and_leaves_nothing(radial_file: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the program's own checks, not those of the tests
    BAD_SCANS[name](radial_file)
    result = fit(radial_file)
    assert_one_error(result, 3)
    assert str(radial_file) in result.stderr
    assert {path.name for path in radial_file.parent.iterdir()} <= {radial_file.name}


@pytest.mark.parametrize("name", ["missing file", "not HDF5", "truncated by half", "no kspace", "NaN in kspace"])
def test_info_on_a_bad_scan_exits_3(radial_file: Path, name: str) -> None:
    BAD_SCANS[name](radial_file)
    assert_one_error(invoke("info", radial_file), 3)


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_exits_with_its_code_and_leaves_nothing(
    radial_file: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.chdir(radial_file.parent)
    code, options = BAD_REQUESTS[name]
    assert_one_error(fit(radial_file, *options), code)
    assert list(radial_file.parent.iterdir()) == [radial_file]


@pytest.mark.parametrize(
    ("given", "content"),
    [
        ("--preset", "[fit\n"),
        ("--preset", "speed = 1\n"),
        ("--preset", "[fit]\npatience = 'much'\n"),
        ("--frames", "0 1 two"),
    ],
)
def test_a_bad_file_of_settings_exits_2(radial_file: Path, given: str, content: str) -> None:
    path = radial_file.parent / "settings.toml"
    path.write_text(content)
    assert_one_error(fit(radial_file, given, str(path)), 2)
    assert not (radial_file.parent / "run").exists()


def test_a_list_of_frames_for_another_scan_exits_2(radial_file: Path) -> None:
    path = radial_file.parent / "frames.txt"
    path.write_text("0 1 2")
    assert_one_error(fit(radial_file, "--frames", str(path)), 2)
    assert not (radial_file.parent / "run").exists()


def test_an_unknown_key_is_answered_by_the_one_meant(radial_file: Path) -> None:
    assert "learning_rate" in fit(radial_file, "--set", "learning_rat=1").stderr


def test_an_output_that_cannot_be_made_exits_2(radial_file: Path) -> None:
    assert_one_error(invoke("fit", radial_file, "-o", radial_file / "run", "-q", *GRIDDING), 2)


def test_a_refused_fit_leaves_the_run_it_was_to_replace(radial_file: Path) -> None:
    run = radial_file.parent / "run"
    assert invoke("fit", radial_file, "-o", run, *GRIDDING).exit_code == 0
    before = shutil.copytree(run, radial_file.parent / "copy")
    assert_one_error(fit(radial_file, "--force", "--set", "virtual_coils=99"), 2)
    for path in before.iterdir():
        assert (run / path.name).read_bytes() == path.read_bytes()


def test_a_fit_that_diverges_exits_5_and_says_so_in_its_record(radial_file: Path) -> None:
    result = fit(radial_file, "--set", "learning_rate=1e6")
    assert_one_error(result, 5)
    assert "learning_rate" in result.stderr
    record = json.loads((radial_file.parent / "run" / "run.json").read_text())
    assert record["status"] == "diverged"
    assert record["why"] in result.stderr
    assert not (radial_file.parent / "run" / "cine.h5").exists()


def test_a_key_that_stops_everything_exits_130(radial_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dainr.io.Reading.scan", stop)
    assert_one_error(fit(radial_file), 130)
    assert list(radial_file.parent.iterdir()) == [radial_file]
