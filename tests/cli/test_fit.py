import json
import re
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dainr import __version__
from dainr.machine.checksum import file_sha256
from dainr.methods.dainr.method import Dainr, DainrConfig
from dainr.scan import Scan
from dainr.settings.build import build_config, config_dict
from dainr.studies.forecast import Forecast

from . import GRIDDING, TINY_OPTIONS, assert_one_error, invoke, succeed
from .conftest import FinishedRun


def read_cine(folder: Path) -> np.ndarray:
    with h5py.File(folder / "cine.h5") as file:
        return file["cine"][()]


def read_record(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_run_folder_holds_the_documented_files(finished: FinishedRun) -> None:
    expected = {"config.toml", "run.json", "log.jsonl", "state.safetensors", "cine.h5", "report.html", "dainr.json"}
    assert {path.name for path in finished.folder.iterdir()} == expected


def test_cine_is_complex_and_finite(finished: FinishedRun) -> None:
    cine = read_cine(finished.folder)
    assert cine.dtype == np.complex64
    assert cine.shape == (1, 6, 32, 32)
    assert np.isfinite(cine).all()
    assert np.abs(cine).max() > 0


def test_record_says_what_was_done_with_what(finished: FinishedRun) -> None:
    record = read_record(finished.folder)
    assert record["status"] == "done"
    assert record["versions"]["dainr"] == __version__
    assert {"python", "torch", "numpy", "finufft"} <= record["versions"].keys()
    assert (record["method"], record["seed"], record["device"]) == ("dainr", 0, "cpu")
    assert record["input"] == {"path": str(finished.scan), "sha256": file_sha256(finished.scan)}
    assert record["choices"]["fourier"] == "finufft"
    assert record["peak_memory_mb"] > 10
    assert 0 < record["seconds"]["fit"] < record["seconds"]["total"]


def test_record_holds_preparation_and_heldout_errors(finished: FinishedRun) -> None:
    (entry,) = read_record(finished.folder)["slices"]
    assert entry["prepare"]["noise_from"] == "noise measurement"
    assert (entry["prepare"]["held_out_readouts"], entry["prepare"]["readouts"]) == (2, 54)
    fit = entry["fit"]
    assert (fit["steps"], fit["stopped"], len(fit["frame_errors"])) == (30, "budget", 6)
    assert [v["step"] for v in fit["validations"]] == [10, 20, 30]
    errors = {v["step"]: v["heldout"] for v in fit["validations"]}
    assert fit["heldout_error"] == pytest.approx(errors[fit["best_step"]], rel=1e-6)


def test_verdict_is_sentences_with_a_level_and_is_shown(finished: FinishedRun) -> None:
    verdict = read_record(finished.folder)["verdict"]
    assert len(verdict) > 1
    for finding in verdict:
        assert finding["level"] in ("good", "caution", "poor")
        assert finding["text"] in finished.result.stderr


def test_config_reads_back_as_the_config_of_the_run(finished: FinishedRun) -> None:
    stored = tomllib.loads((finished.folder / "config.toml").read_text())
    config = build_config(DainrConfig, stored["config"])
    assert config_dict(config) == stored["config"]
    assert (config.fit.iterations, config.warped.width, config.warped.levels) == (30, 16, 4)
    assert stored["run"]["scan"] == str(finished.scan)


def test_log_has_a_line_for_each_validation(finished: FinishedRun) -> None:
    lines = [json.loads(line) for line in (finished.folder / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30]
    validations = read_record(finished.folder)["slices"][0]["fit"]["validations"]
    assert [line["heldout"] for line in lines] == [v["heldout"] for v in validations]
    assert {"slice", "loss", "learning_rate", "seconds"} <= lines[0].keys()


def test_people_read_stderr_and_stdout_stays_empty(finished: FinishedRun) -> None:
    assert finished.result.stdout == ""
    assert "step 30 (100%)" in finished.result.stderr
    assert "dainr export" in finished.result.stderr


def test_json_is_the_record_and_nothing_else(radial_file: Path, tmp_path: Path) -> None:
    result = succeed("fit", radial_file, "-o", tmp_path / "run", *GRIDDING, "--json")
    assert json.loads(result.stdout) == read_record(tmp_path / "run")
    assert result.stderr == ""


def test_quiet_says_nothing(radial_file: Path, tmp_path: Path) -> None:
    result = succeed("fit", radial_file, "-o", tmp_path / "run", *GRIDDING, "-q")
    assert (result.stdout, result.stderr) == ("", "")


def test_gridding_fits_no_field(radial_file: Path, tmp_path: Path) -> None:
    succeed("fit", radial_file, "-o", tmp_path / "run", *GRIDDING)
    names = {"config.toml", "run.json", "cine.h5", "report.html", "dainr.json"}
    assert {p.name for p in (tmp_path / "run").iterdir()} == names
    record = read_record(tmp_path / "run")
    assert (record["status"], record["method"]) == ("done", "gridding")
    assert record["slices"][0]["prepare"]["held_out_readouts"] == 0


def test_output_is_named_after_the_scan_by_default(
    radial_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    succeed("fit", radial_file, *GRIDDING)
    assert read_record(tmp_path / "radial_dainr")["status"] == "done"


def test_dry_run_writes_nothing(radial_file: Path, tmp_path: Path) -> None:
    result = succeed("fit", radial_file, "-o", tmp_path / "run", "--dry-run", *TINY_OPTIONS)
    assert list(tmp_path.iterdir()) == [radial_file]
    assert "6 frames" in result.stdout
    assert "finufft" in result.stdout
    assert re.search(r"Take about \d+ s and \d+\.\d GB of memory\.", result.stdout)
    assert "Take about" not in succeed("fit", radial_file, "-o", tmp_path / "run", "--dry-run", *GRIDDING).stdout


def test_dry_run_tells_the_memory_of_the_gpu_a_fit_would_use(
    radial_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve = Dainr.resolve

    def on_gpu(method: Dainr, scan: Scan, config: DainrConfig) -> tuple[DainrConfig, dict[str, Any]]:
        config, choices = resolve(method, scan, config)
        return replace(config, device="cuda:1"), choices

    monkeypatch.setattr(Dainr, "resolve", on_gpu)
    monkeypatch.setattr("dainr.studies.forecast.forecast", lambda *_: Forecast(12.0, 5000.0, 2048.0))
    shown = succeed("fit", radial_file, "--dry-run", *TINY_OPTIONS).stdout
    assert "on cuda:1" in shown
    assert "Take about 12 s and 2.0 GB of the GPU's memory." in shown


def test_dry_run_tells_the_settings_as_json(radial_file: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[fit]\nhalve_every = 7\n")
    options = ("--preset", tmp_path / "mine.toml", "--budget", "2m", "--seed", "3", *TINY_OPTIONS)
    plan = json.loads(succeed("fit", radial_file, "-o", tmp_path / "run", "--dry-run", "--json", *options).stdout)
    assert plan["scan"]["frames"] == 6
    assert plan["config"]["seed"] == 3
    assert plan["forecast"]["seconds"] < 120  # iterations=30 of TINY_OPTIONS end it
    assert plan["forecast"]["memory_mb"] > 100
    assert (plan["config"]["fit"]["halve_every"], plan["config"]["fit"]["budget_s"]) == (7, 120.0)
    assert not (tmp_path / "run").exists()


def test_auto_is_decided_before_it_is_recorded(radial_file: Path, tmp_path: Path) -> None:
    succeed("fit", radial_file, "-o", tmp_path / "run", "--method", "gridding")
    stored = tomllib.loads((tmp_path / "run" / "config.toml").read_text())["config"]
    assert stored["device"] != "auto"
    assert stored["nufft"] != "auto"


def test_an_existing_run_is_refused_and_left_alone(finished: FinishedRun) -> None:
    before = contents(finished.folder)
    assert_one_error(invoke("fit", finished.scan, "-o", finished.folder, *GRIDDING), 2)
    assert contents(finished.folder) == before


def test_force_replaces_the_whole_run(finished: FinishedRun, tmp_path: Path) -> None:
    shutil.copytree(finished.folder, tmp_path / "run")
    succeed("fit", finished.scan, "-o", tmp_path / "run", "--force", *GRIDDING)
    assert read_record(tmp_path / "run")["method"] == "gridding"
    assert not (tmp_path / "run" / "state.safetensors").exists()
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_a_folder_that_holds_no_run_is_never_touched(radial_file: Path, tmp_path: Path, force: tuple[str, ...]) -> None:
    folder = tmp_path / "holiday"
    folder.mkdir()
    (folder / "cine.h5").write_text("mine")
    assert_one_error(invoke("fit", radial_file, "-o", folder, *GRIDDING, *force), 2)
    assert contents(folder) == {"cine.h5": b"mine"}


def test_a_file_in_place_of_the_folder_is_refused(radial_file: Path) -> None:
    before = radial_file.read_bytes()
    assert_one_error(invoke("fit", radial_file, "-o", radial_file, "--force", *GRIDDING), 2)
    assert radial_file.read_bytes() == before


def test_the_seed_decides_everything(finished: FinishedRun, tmp_path: Path) -> None:
    succeed("fit", finished.scan, "-o", tmp_path / "same", *TINY_OPTIONS)
    succeed("fit", finished.scan, "-o", tmp_path / "other", *TINY_OPTIONS, "--seed", "1")
    assert np.array_equal(read_cine(tmp_path / "same"), read_cine(finished.folder))
    assert not np.array_equal(read_cine(tmp_path / "other"), read_cine(finished.folder))


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (("--spokes-per-frame", 6), (1, 9, 32, 32)),
        (("--spokes-per-frame", 54), (1, 1, 32, 32)),
        (("--spokes-per-frame", 20), (1, 2, 32, 32)),
        (("--frames-per-cycle", 5), (1, 5, 32, 32)),
        (("--matrix", "24x20"), (1, 6, 24, 20)),
        (("--matrix", 40), (1, 6, 40, 40)),
    ],
)
def test_frames_and_matrix_as_asked(
    radial_file: Path, tmp_path: Path, options: tuple[object, ...], shape: tuple[int, ...]
) -> None:
    succeed("fit", radial_file, "-o", tmp_path / "run", *GRIDDING, *options)
    assert read_cine(tmp_path / "run").shape == shape


def test_frames_from_a_list(radial_file: Path, tmp_path: Path) -> None:
    (tmp_path / "frames.txt").write_text("\n".join(str(i % 3) for i in range(54)))
    succeed("fit", radial_file, "-o", tmp_path / "run", *GRIDDING, "--frames", tmp_path / "frames.txt")
    assert read_record(tmp_path / "run")["scan"]["readouts_per_frame"] == [18, 18]


def test_slices_as_asked(stack_file: Path, tmp_path: Path) -> None:
    succeed("fit", stack_file, "-o", tmp_path / "all", *GRIDDING)
    succeed("fit", stack_file, "-o", tmp_path / "some", *GRIDDING, "--slices", "0,2")
    whole = read_cine(tmp_path / "all")
    assert whole.shape == (3, 6, 32, 32)
    np.testing.assert_allclose(read_cine(tmp_path / "some"), whole[[0, 2]], rtol=1e-5, atol=1e-5 * np.abs(whole).max())
    brightness = np.abs(whole).mean((1, 2, 3))
    np.testing.assert_allclose(brightness / brightness[0], [1, 2, 3], rtol=1e-3)


def test_binning_is_recorded(radial_file: Path, tmp_path: Path) -> None:
    succeed("fit", radial_file, "-o", tmp_path / "run", *GRIDDING, "--spokes-per-frame", 18, "--matrix", 24)
    stored = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert stored["run"]["binning"] == {"spokes_per_frame": 18, "matrix": "24"}
    assert any("18 readouts per frame" in note for note in read_record(tmp_path / "run")["scan"]["notes"])
