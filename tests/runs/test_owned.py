"""A run's folder is ours only by its marker: what others put there is left alone, and one fit is at work in it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dainr.errors import BadRequest, BadScan
from dainr.machine.lock import LOCK, alone_in
from dainr.runs.folder import CINE, CONFIG, FILES, RECORD, STATE, RunFolder
from dainr.runs.owned import MARKER
from dainr.runs.run import load_run
from tests.cli import GRIDDING, assert_one_error, invoke, start, succeed

OLD_RUN = Path(__file__).with_name("run_0_1_0")  # made by dainr 0.1.0, before there were markers
OLD_SCAN = Path(__file__).with_name("run_0_1_0.scan.h5")


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    return shutil.copytree(OLD_RUN, tmp_path / "run")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_with_a_config_of_others_is_refused_and_left_as_it_was(radial_file: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for name in (CONFIG, ".tmpABC123", "state.safetensors", "state.000.safetensors", CINE):
        (theirs / name).write_text("[tool]\n")
    before = contents(theirs)
    result = invoke("fit", radial_file, "-o", theirs, "--force", "-q", *GRIDDING)
    assert_one_error(result, 2)
    assert ".tmpABC123" in result.stderr
    assert contents(theirs) == before


@pytest.mark.parametrize("name", [CINE, "report.html", "state.000.safetensors"])
def test_a_file_in_the_way_of_a_marked_run_is_refused(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.claim([CONFIG])
    folder.file(name).write_text("theirs")
    with pytest.raises(BadRequest, match=name):
        folder.check_free(force=True)
    with pytest.raises(BadRequest, match="did not write it"):
        folder.write_text(name, "ours")
    assert folder.file(name).read_text() == "theirs"


def test_what_lies_beside_a_run_stays_when_the_run_is_replaced(radial_file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("fit", radial_file, "-o", run, "-q", *GRIDDING)
    kept = ("notes.txt", "state.txt", ".tmpABC123", ".cine.h5.part")
    for name in kept:
        (run / name).write_text("mine")
    succeed("fit", radial_file, "-o", run, "-q", "--force", *GRIDDING)
    assert [(run / name).read_text() for name in kept] == ["mine"] * len(kept)
    assert json.loads((run / MARKER).read_text())["schema"] == "dainr-run"


def test_a_run_of_0_1_0_is_read_reported_and_replaced(old_run: Path, tmp_path: Path) -> None:
    assert load_run(old_run).cine.data.shape == (1, 2, 16, 16)
    succeed("report", old_run)
    fresh = shutil.copytree(OLD_RUN, tmp_path / "fresh")
    (fresh / ".tmpABC123").write_text("half")
    succeed("fit", OLD_SCAN, "-o", fresh, "--force", "-q", *GRIDDING)
    assert not (fresh / ".tmpABC123").exists()
    assert (fresh / MARKER).is_file()


def test_a_run_of_0_1_0_resumes(old_run: Path) -> None:
    record = json.loads((old_run / "run.json").read_text())
    (old_run / "run.json").write_text(json.dumps(record | {"status": "running"}))
    (old_run / CINE).unlink()
    succeed("fit", OLD_SCAN, "-o", old_run, "--resume", "-q")
    assert RunFolder(old_run).is_complete
    assert set(FILES) <= RunFolder(old_run).owned()


def test_a_run_of_0_1_0_with_files_of_others_is_not_replaced(old_run: Path) -> None:
    (old_run / "thesis.txt").write_text("years")
    before = contents(old_run)
    result = invoke("fit", OLD_SCAN, "-o", old_run, "--force", "-q", *GRIDDING)
    assert_one_error(result, 2)
    assert "thesis.txt" in result.stderr
    assert contents(old_run) == before


@pytest.mark.parametrize(
    "marker",
    ["", "[]", "{}", '{"schema": "other", "version": 1, "files": []}', '{"schema": "dainr-run", "files": ["../x"]}'],
)
def test_a_damaged_marker_owns_nothing(tmp_path: Path, marker: str) -> None:
    (tmp_path / MARKER).write_text(marker)
    with pytest.raises(BadScan, match="damaged"):
        RunFolder(tmp_path).discard()


def test_a_marker_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text('{"schema": "dainr-run", "version": 2, "files": ["cine.h5"]}')
    with pytest.raises(BadScan, match="later version"):
        RunFolder(tmp_path).check_free(force=True)


@pytest.mark.parametrize("options", [(), ("--force",)])
def test_two_fits_do_not_share_a_folder(radial_file: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    succeed("fit", radial_file, "-o", run, "-q", *GRIDDING) if options else None
    with RunFolder(run).alone():
        assert_one_error(invoke("fit", radial_file, "-o", run, "-q", *options, *GRIDDING), 2)
    assert not (run / LOCK).exists()


def test_a_lock_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from dainr.machine.lock import alone_in\n"
        "with alone_in(pathlib.Path(sys.argv[1]), 'x'): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == -9
    assert (tmp_path / LOCK).exists()
    with alone_in(tmp_path, "another"):
        pass


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", none)
    with alone_in(tmp_path, "another fit"):
        pass
    assert "knows no locks" in caplog.text


def test_imports_at_once_are_all_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors.torch import save_file

    from dainr.networks.encoders.mdsr import MDSR
    from dainr.networks.weights import installed_weights

    monkeypatch.setenv("DAINR_WEIGHTS", str(tmp_path / "weights"))
    names = [f"net{index}" for index in range(3)]
    for name in names:
        save_file(MDSR().state_dict(), tmp_path / f"{name}.safetensors")
    processes = [start("weights", "import", tmp_path / f"{name}.safetensors") for name in names]
    assert [process.wait(timeout=120) for process in processes] == [0] * len(names)
    for process in processes:
        process.communicate()
    assert set(names) <= installed_weights().keys()


def test_a_folder_that_a_killed_fit_had_only_marked_is_free(radial_file: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.claim(FILES)
    succeed("fit", radial_file, "-o", folder.path, "-q", *GRIDDING)
    with pytest.raises(BadRequest, match="a run already"):
        folder.check_free(force=False)


def test_a_run_that_is_replaced_is_the_old_one_or_the_new_at_any_moment(
    radial_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The config says which of the two: nothing of the old one's state, record or maps lies beside the new one's."""
    succeed("fit", radial_file, "-o", tmp_path / "run", "-q", *GRIDDING)
    (tmp_path / "run" / "state.safetensors").write_bytes(b"state")
    old = contents(tmp_path / "run")
    config = RunFolder(tmp_path / "run").read_config()
    config["run"]["id"] = "another"
    kinds = set()
    for moment in range(12):
        folder = RunFolder(shutil.copytree(tmp_path / "run", tmp_path / f"run{moment}"))
        countdown = iter([None] * moment)

        def killed(path: Path, countdown: Iterator[None] = countdown) -> None:
            next(countdown)
            path.unlink(missing_ok=True)

        monkeypatch.setattr("dainr.runs.owned._remove", killed)
        with suppress(StopIteration):
            folder.start(config)
        monkeypatch.undo()
        now = contents(folder.path)
        is_old = now[CONFIG] == old[CONFIG]
        kinds.add((is_old, RECORD in now))
        if is_old:
            assert {name: now[name] for name in (CINE, "report.html")} == {n: old[n] for n in (CINE, "report.html")}
            assert RECORD not in now or now["state.safetensors"] == b"state"
        else:
            assert not now.keys() & {RECORD, STATE}
    assert kinds == {(True, True), (True, False), (False, False)}
