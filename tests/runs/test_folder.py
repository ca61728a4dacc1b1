import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dainr.errors import BadRequest, BadScan, Interrupted, NoRoom, OutOfMemory
from dainr.fit.state import Checkpoint, FitState, Step, Validation
from dainr.methods.dainr.method import DainrConfig
from dainr.runs.folder import CONFIG, FILES, LOG, RECORD, STATE, RunFolder
from dainr.runs.owned import MARKER
from dainr.runs.run import Request, load_run, reconstruct_into
from dainr.scan import Scan
from dainr.settings.build import build_config
from tests.conftest import TINY
from tests.helper import repeated

REQUEST = Request("dainr", "default", "scan.h5", "0" * 64)


def step_at(number: int, index: int = 0, heldout: float | None = 0.5, stopped: str = "") -> Step:
    """A step as a fit would show it, its tensors filled with its number."""
    tensors = {"model.w": torch.full((2,), float(number)), "best.w": torch.full((2,), number - 1.0)}
    validations = [Validation(1, 0.75, 0.25)]
    state = FitState(step=number, losses=[1.0] * number, validations=validations)
    return Step(
        slice=index,
        n_slices=2,
        step=number,
        progress=0.5,
        loss=1.0,
        heldout=heldout,
        best_heldout=math.inf,
        seconds=0.1,
        seconds_left=1.0,
        learning_rate=1e-3,
        stopped=stopped,
        model=torch.nn.Identity(),
        checkpoint=lambda: Checkpoint(tensors, state),
    )


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / "run", checkpoint_every_s=1e7)
    made.start({"run": REQUEST.__dict__, "config": {}})
    return made


def logged(folder: RunFolder) -> list[tuple[int, int]]:
    lines = [json.loads(line) for line in folder.file(LOG).read_text().splitlines()]
    return [(line["slice"], line["step"]) for line in lines]


def test_a_folder_is_free_when_missing_or_empty(tmp_path: Path) -> None:
    RunFolder(tmp_path / "new").check_free(force=False)
    RunFolder(tmp_path).check_free(force=False)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadRequest):
        RunFolder(tmp_path).check_free(force=True)


def test_starting_anew_removes_the_old_run_and_nothing_else(folder: RunFolder) -> None:
    for name in (*FILES, "notes.txt"):
        folder.file(name).write_text("old")
    folder.start({"run": REQUEST.__dict__, "config": {"seed": 1}})
    assert {path.name for path in folder.path.iterdir()} == {CONFIG, MARKER, "notes.txt"}
    assert folder.read_config() == {"run": REQUEST.__dict__, "config": {"seed": 1}}


def test_a_checkpoint_reads_back_as_it_was(folder: RunFolder) -> None:
    step = step_at(7)
    folder.save_now(step)
    state = RunFolder(folder.path).load_state()
    assert state.finished == {}
    assert state.current is not None
    index, checkpoint = state.current
    assert index == 0
    assert checkpoint.state == step.checkpoint().state
    assert checkpoint.tensors.keys() == {"model.w", "best.w"}
    assert torch.equal(checkpoint.tensors["model.w"], torch.tensor([7.0, 7.0]))


def test_a_slice_that_ended_keeps_its_best_state(folder: RunFolder) -> None:
    folder.checkpoint(step_at(9, index=0, stopped="converged"))
    folder.save_now(step_at(4, index=1))
    state = RunFolder(folder.path).load_state()
    assert state.finished[0].state.stopped == "converged"
    assert torch.equal(state.finished[0].tensors["w"], torch.tensor([8.0, 8.0]))
    assert state.current is not None
    assert (state.current[0], state.current[1].state.step) == (1, 4)


def test_a_slice_that_ended_is_written_once_and_joins_the_others_in_the_end(folder: RunFolder) -> None:
    folder.save_now(step_at(4))
    folder.checkpoint(step_at(9, stopped="budget"))
    first = folder.file("state.000.safetensors")
    assert first.is_file() and not folder.file(STATE).exists()
    written = first.stat().st_mtime_ns
    folder.checkpoint(step_at(7, index=1, stopped="budget"))
    assert first.stat().st_mtime_ns == written
    ended = RunFolder(folder.path).load_state().finished
    assert sorted(ended) == [0, 1]
    folder.save_fields(ended)
    assert [path.name for path in folder.path.glob("*.safetensors")] == [STATE]
    assert sorted(folder.load_state().finished) == [0, 1]
    folder.checkpoint(step_at(7, index=1, stopped="budget"))
    folder.discard_state()
    assert not list(folder.path.glob("*.safetensors"))


def test_killed_as_a_slice_ended_it_has_ended(folder: RunFolder) -> None:
    folder.checkpoint(step_at(9, stopped="budget"))
    folder.save_now(step_at(8))
    state = RunFolder(folder.path).load_state()
    assert (list(state.finished), state.current) == ([0], None)


def test_a_slice_that_was_interrupted_has_not_ended(folder: RunFolder) -> None:
    folder.checkpoint_every_s = -1.0
    folder.checkpoint(step_at(9, stopped="interrupted"))
    assert RunFolder(folder.path).load_state().finished == {}


def test_the_state_is_saved_no_more_often_than_asked(folder: RunFolder) -> None:
    folder.checkpoint(step_at(3))
    assert not folder.file(STATE).exists()
    folder.checkpoint_every_s = -1.0
    folder.checkpoint(step_at(4))
    assert folder.file(STATE).exists()


def test_only_validated_steps_are_logged(folder: RunFolder) -> None:
    folder.log(step_at(9, heldout=None))
    folder.log(step_at(10, heldout=0.5))
    assert logged(folder) == [(0, 10)]


def test_lines_after_the_checkpoint_are_taken_back(folder: RunFolder) -> None:
    folder.log(step_at(10))
    folder.checkpoint(step_at(20, stopped="budget"))
    folder.log(step_at(20))
    folder.log(step_at(10, index=1))
    folder.save_now(step_at(12, index=1))
    folder.log(step_at(20, index=1))
    with folder.file(LOG).open("a") as file:
        file.write('{"slice": 1, "st')
    again = RunFolder(folder.path)
    again.trim_log(again.load_state())
    assert logged(folder) == [(0, 10), (0, 20), (1, 10)]


def test_without_a_checkpoint_all_lines_are_taken_back(folder: RunFolder) -> None:
    folder.log(step_at(10))
    state = folder.load_state()
    assert (state.finished, state.current) == ({}, None)
    assert logged(folder) == [(0, 10)]  # reading a run changes nothing in it
    folder.trim_log(state)
    assert logged(folder) == []


def test_a_run_an_observer_ended_keeps_its_field(radial_scan: Scan, tmp_path: Path) -> None:
    config = build_config(DainrConfig, {}, [*TINY, "device=cpu"])
    request = Request("dainr", "default", "scan.h5", "0" * 64)
    reconstruct_into(RunFolder(tmp_path / "run"), radial_scan, request, config, [lambda step: step.step < 7])
    assert load_run(tmp_path / "run").render(n_frames=11).data.shape == (1, 11, 32, 32)


def test_a_failed_save_leaves_the_older_state(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.save_now(step_at(5))

    def fail(_: object, path: Path, *__: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dainr.runs.folder.save_file", fail)
    with pytest.raises(NoRoom, match="the disk is full"):
        folder.save_now(step_at(6))
    state = RunFolder(folder.path).load_state()
    assert state.current is not None
    assert state.current[1].state.step == 5


def test_whoever_may_read_the_config_may_read_the_state(folder: RunFolder) -> None:
    folder.save_now(step_at(5))
    assert folder.file(STATE).stat().st_mode == folder.file(CONFIG).stat().st_mode


def test_damaged_files_are_bad_data(folder: RunFolder) -> None:
    with pytest.raises(BadScan, match="has not ended"):
        folder.read_record()
    folder.file(RECORD).write_text('{"status": "do')
    with pytest.raises(BadScan, match="damaged"):
        folder.read_record()
    folder.file(CONFIG).write_bytes(b"seed = \xff\n")
    with pytest.raises(BadScan, match="damaged"):
        folder.read_config()
    folder.file(STATE).write_bytes(b"no tensors")
    with pytest.raises(BadScan, match="damaged"):
        folder.load_state()


def test_a_stack_interrupted_in_its_second_slice_resumes_to_the_same_cine(radial_scan: Scan, tmp_path: Path) -> None:
    stack = repeated(replace(radial_scan, reference=None), 2)
    config = build_config(DainrConfig, {}, [*TINY, "iterations=12", "validate_every=4", "device=cpu"])
    whole = reconstruct_into(RunFolder(tmp_path / "whole"), stack, REQUEST, config)

    steps = iter(range(20))
    with pytest.raises(Interrupted, match="step 7"):
        reconstruct_into(
            RunFolder(tmp_path / "halves"), stack, REQUEST, config, stop_requested=lambda: next(steps) == 18
        )
    folder = RunFolder(tmp_path / "halves")
    assert folder.read_record()["status"] == "interrupted"
    resumed = reconstruct_into(folder, stack, REQUEST, config, resume=True)
    assert np.array_equal(resumed.cine.data, whole.cine.data)
    assert logged(folder) == [(0, 4), (0, 8), (0, 12), (1, 4), (1, 8), (1, 12)]
    loaded = load_run(tmp_path / "halves")
    assert np.array_equal(loaded.cine.data, whole.cine.data)
    np.testing.assert_allclose(loaded.render(times=[0.0]).data, whole.cine.data[:, :1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("at", [0, 9])
def test_a_run_that_memory_ran_out_for_goes_on_from_its_state_if_it_has_one(
    radial_scan: Scan, tmp_path: Path, at: int
) -> None:
    config = build_config(DainrConfig, {}, [*TINY, "iterations=12", "device=cpu", "checkpoint_every_s=0"])
    steps = iter(range(20))

    def full(_: Step) -> None:
        if next(steps) == at:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    folder = RunFolder(tmp_path / "run")
    if at == 0:
        config = replace(config, checkpoint_every_s=1e7)
    with pytest.raises(OutOfMemory, match="reconstructing slice 0"):
        reconstruct_into(folder, radial_scan, REQUEST, config, [full])
    if at == 0:
        assert not folder.path.exists()
        return
    assert folder.read_record()["status"] == "out of memory"
    assert "reconstructing slice 0" in folder.read_record()["why"]
    state = folder.load_state().of_slice(0)
    assert state is not None
    assert state.state.step == 10
    reconstruct_into(folder, radial_scan, REQUEST, config, resume=True)
    assert folder.is_complete
