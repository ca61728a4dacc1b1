import shutil
from pathlib import Path

from dainr.runs.folder import CONFIG, RECORD, REPORT

from . import assert_one_error, invoke, succeed
from .conftest import FinishedRun


def test_the_report_is_written_anew_and_is_the_same(finished: FinishedRun, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished.folder, folder)
    (folder / REPORT).unlink()
    result = succeed("report", folder)
    assert result.stdout == f"{folder / REPORT}\n"
    assert (folder / REPORT).read_text() == (finished.folder / REPORT).read_text()


def test_a_run_that_has_not_ended_has_no_report(finished: FinishedRun, tmp_path: Path) -> None:
    shutil.copy(finished.folder / CONFIG, tmp_path / CONFIG)
    assert_one_error(invoke("report", tmp_path), 3)
    record = (finished.folder / RECORD).read_text()
    (tmp_path / RECORD).write_text(record.replace('"status": "done"', '"status": "running"'))
    result = invoke("report", tmp_path)
    assert_one_error(result, 3)
    assert "--resume" in result.stderr
    assert not (tmp_path / REPORT).exists()


def test_a_damaged_run_is_bad_data(finished: FinishedRun, tmp_path: Path) -> None:
    for name in ("config.toml", "run.json", "cine.h5", "state.safetensors"):
        folder = tmp_path / name
        shutil.copytree(finished.folder, folder)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: len(whole) // 2] + b"\xff")
        assert_one_error(invoke("report", folder), 3)


def test_a_run_made_before_settings_were_renamed_is_reported_exported_and_rendered(
    finished: FinishedRun, tmp_path: Path
) -> None:
    shutil.copytree(finished.folder, old := tmp_path / "run")
    asked = (old / "config.toml").read_text()
    assert "encoder = " in asked and "subframes = " in asked
    (old / "config.toml").write_text(asked.replace("encoder = ", "features = ").replace("subframes = ", "moments = "))
    assert "encoder" not in succeed("report", old).stderr
    succeed("export", old, tmp_path / "cine.npy", "--frames", 4)
    assert "nothing to resume" in succeed("fit", finished.scan, "-o", old, "--resume").stderr
