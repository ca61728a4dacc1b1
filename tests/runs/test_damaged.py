"""Whatever is done to a file of a run, who reads the run gets it or one sentence, and what is healthy stays."""

import json
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save_file

from dainr.errors import BadScan, DainrError, OutOfMemory
from dainr.methods.dainr.method import DainrConfig
from dainr.report import build_report
from dainr.runs.folder import CINE, CONFIG, RECORD, REPORT, STATE, RunFolder
from dainr.runs.owned import MARKER
from dainr.runs.repair import repair
from dainr.runs.run import Request, load_run, reconstruct_into
from dainr.settings.build import build_config
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.cli import assert_one_error, invoke, succeed
from tests.conftest import TINY
from tests.runs.test_owned import OLD_RUN, OLD_SCAN, contents

READ = (CONFIG, RECORD, STATE, CINE, MARKER)  # the files that are read
VALUES: tuple[Any, ...] = (None, True, -1, 0, 2**70, 1e300, float("nan"), "text", "", [], [[]], [1], {}, {"a": 1})


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs of the same scan with the same settings."""
    scan = simulate_phantom(SimulationConfig(spokes=5, coils=2, frames=2, matrix=16))
    config = build_config(DainrConfig, {}, [*TINY, "iterations=2", "start_steps=1", "coarse_steps=1", "device=cpu"])
    paths = tmp_path_factory.mktemp("runs") / "one", tmp_path_factory.mktemp("runs") / "other"
    for path in paths:
        reconstruct_into(RunFolder(path), scan, Request("dainr", "default", "scan.h5", "0" * 64), config)
    return paths


@pytest.fixture
def run(runs: tuple[Path, Path], tmp_path: Path) -> Path:
    return shutil.copytree(runs[0], tmp_path / "run")


def read_all(path: Path) -> None:
    """What the commands do that read a run."""
    recon = load_run(path)
    with np.errstate(all="ignore"):  # of numbers that are huge, in runs made before there were checksums
        build_report(recon, RunFolder(path).read_config(), recon.record)
        recon.render(3)


def replaced(path: Path) -> Iterator[Callable[[Any], None]]:
    """A way to put a value in place of each one in a JSON or TOML file, at any depth."""
    load, dump = (json.loads, json.dumps) if path.suffix == ".json" else (tomllib.loads, tomli_w.dumps)
    content = load(path.read_text())

    def at(holder: Any, key: Any) -> Callable[[Any], None]:
        def put(value: Any) -> None:
            holder[key] = value
            path.write_text(dump(content))

        return put

    def walk(holder: Any) -> Iterator[Callable[[Any], None]]:
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
            yield at(holder, key)
            if isinstance(holder[key], dict | list):
                yield from walk(holder[key])

    yield from walk(content)


def damage(path: Path, other: Path, data: st.DataObject) -> None:
    """Do something to a file, as a disk or a person might."""
    ways = ["cut", "flip", "swap", "folder", "lost"] + (["value"] if path.suffix in (".json", ".toml") else [])
    way = data.draw(st.sampled_from(ways))
    whole = path.read_bytes()
    if way == "cut":
        path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    elif way == "flip":
        changed = bytearray(whole)
        for _ in range(data.draw(st.integers(1, 4))):
            changed[data.draw(st.integers(0, min(len(whole), 4096) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(changed)
    elif way == "swap":
        shutil.copy(other / path.name, path)
    elif way == "value":
        ways_to_put = list(replaced(path))
        value = data.draw(st.sampled_from([v for v in VALUES if path.suffix == ".json" or v is not None]))
        ways_to_put[data.draw(st.integers(0, len(ways_to_put) - 1))](value)
    else:
        path.unlink()
        if way == "folder":
            path.mkdir()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_damaged_run_is_read_or_one_sentence_says_why_not(runs: tuple[Path, Path], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = shutil.copytree(data.draw(st.sampled_from([runs[0], OLD_RUN])), Path(folder) / "run")
        name = data.draw(st.sampled_from([name for name in READ if (path / name).exists()]))
        damage(path / name, runs[1], data)
        for act in (read_all, repair):
            try:
                act(path)
            except DainrError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("name", [RECORD, STATE, CINE])
def test_the_file_of_another_run_is_not_taken_for_ones_own(name: str, run: Path, runs: tuple[Path, Path]) -> None:
    shutil.copy(runs[1] / name, run)
    with pytest.raises(BadScan, match=f"{name}: it is a file of another run"):
        load_run(run)


def test_weights_and_images_that_are_others_or_not_finite_are_refused(run: Path) -> None:
    with h5py.File(run / CINE, "r+") as file:
        file["cine"][0, 0, 0, 0] += 1
    with pytest.raises(BadScan, match="by its checksum"):
        load_run(run)
    with h5py.File(run / CINE, "r+") as file:
        file["cine"][0, 0, 0, 0] = np.nan
        del file["cine"].attrs["crc32"]
    with pytest.raises(BadScan, match="not finite"):
        load_run(run)
    with safe_open(run / STATE, framework="np") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    name = next(key for key, value in tensors.items() if value.dtype == np.float32)
    tensors[name] = np.full_like(tensors[name], np.nan)
    save_file(tensors, run / STATE, metadata)
    with pytest.raises(BadScan, match="by its checksum"):
        RunFolder(run).load_state()
    save_file(tensors, run / STATE, {key: value for key, value in metadata.items() if key != "crc32"})
    with pytest.raises(BadScan, match=f"{name} is not finite"):
        RunFolder(run).load_state()


@pytest.mark.parametrize("command", ["report", "export", "evaluate"])
@pytest.mark.parametrize(
    ("name", "content"), [(CONFIG, ""), (RECORD, "[]"), (RECORD, '{"status": "done"}'), (CINE, ""), (STATE, None)]
)
def test_commands_say_what_is_damaged(command: str, name: str, content: str | None, run: Path, tmp_path: Path) -> None:
    (run / name).unlink()
    (run / name).symlink_to("nowhere") if content is None else (run / name).write_text(content)
    out = {"report": [], "export": [tmp_path / "c.npy"], "evaluate": [tmp_path / "r.npy"]}[command]
    assert_one_error(invoke(command, run, *out), 3)
    assert not (tmp_path / "c.npy").exists()


def test_repair_leaves_a_whole_run_as_it_is(run: Path, tmp_path: Path) -> None:
    for path in (run, shutil.copytree(OLD_RUN, tmp_path / "old")):
        RunFolder(path).adopt()
        before = {**contents(path)}
        assert "nothing was changed" in succeed("report", path, "--repair").stdout
        assert contents(path) == before


def test_repair_mends_marker_verdict_and_report(run: Path) -> None:
    before = contents(run)
    record = json.loads((run / RECORD).read_text())
    (run / RECORD).write_text(json.dumps(record | {"verdict": "fine"}))
    (run / REPORT).write_bytes(before[REPORT][:-100])
    (run / MARKER).write_text("[]")
    result = succeed("report", run, "--repair")
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        str(run / name) for name in (MARKER, RECORD, REPORT)
    ]
    after = contents(run)
    assert set(json.loads(after.pop(MARKER))["files"]) <= set(json.loads(before.pop(MARKER))["files"])
    assert after == before


def test_what_repair_cannot_mend_it_says_and_ends_with_1(run: Path) -> None:
    (run / RECORD).write_text("{")
    (run / STATE).write_bytes(b"")
    result = invoke("report", run, "--repair")
    assert result.exit_code == 1
    assert [line.split(": ")[1:3] for line in result.stderr.splitlines()] == [
        ["not mended", str(run / name)] for name in (RECORD, STATE)
    ]


@pytest.mark.parametrize("name", [RECORD, CINE])
def test_record_and_cine_are_made_anew_from_the_state(name: str, tmp_path: Path) -> None:
    path = shutil.copytree(OLD_RUN, tmp_path / "run")
    whole = load_run(path)
    (path / name).write_text("{")
    with pytest.raises(BadScan, match="fit --resume"):
        load_run(path)
    succeed("fit", OLD_SCAN, "-o", path, "--resume", "-q")
    again = load_run(path)
    np.testing.assert_allclose(again.cine.data, whole.cine.data, atol=1e-4 * np.abs(whole.cine.data).max())
    assert again.record["slices"][0]["fit"]["validations"] == whole.record["slices"][0]["fit"]["validations"]


@pytest.mark.parametrize("status", ["done", "running"])
def test_a_state_that_lacks_a_tensor_is_refused(status: str, tmp_path: Path) -> None:
    path = shutil.copytree(OLD_RUN, tmp_path / "run")
    with safe_open(path / STATE, framework="np") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()  # noqa: SIM118
    tensors.pop("finished.0.motion")
    save_file(tensors, path / STATE, metadata)
    record = json.loads((path / RECORD).read_text())
    (path / RECORD).write_text(json.dumps(record | {"status": status}))
    command = ("report", path) if status == "done" else ("fit", OLD_SCAN, "-o", path, "--resume", "-q")
    assert_one_error(invoke(*command), 3)


def test_a_field_that_memory_is_too_small_for_is_one_sentence(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def large(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes.")

    monkeypatch.setattr("dainr.methods.dainr.method.Dainr.restore", large)
    with pytest.raises(OutOfMemory, match="reading the fitted fields"):
        load_run(run)
