"""Training: what it writes, going on bit for bit, for longer, by references."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dainr.errors import BadRequest, BadScan, Interrupted
from dainr.fit.state import Step
from dainr.io import load
from dainr.io.scans import native
from dainr.methods import configure, get_method
from dainr.networks.unrolled.stored import load_network
from dainr.studies.train.config import configure_training
from dainr.studies.train.folder import Request, TrainingFolder
from dainr.studies.train.train import Outputs, is_complete, stored_request

from .conftest import QUICK, Train


def same(first: Path, second: Path) -> bool:
    a, b = load_file(first), load_file(second)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def stop_after(steps: int, seen: list[Step]) -> dict:
    return {"observers": [seen.append], "stop_requested": lambda: len(seen) >= steps}


def test_a_training_leaves_weights_that_a_fit_applies(train: Train, scans: Path, tmp_path: Path) -> None:
    found = train("iterations=6")
    weights = tmp_path / "w.safetensors"
    stored = load_network(str(weights), "crnn")
    assert stored.sizes["channels"] == 2 and stored.facts["loss"] == "ssdu" and stored.facts["steps"] == "6"
    assert found.facts["training_scans"] == 3 and found.facts["validation_scans"] == 1
    assert [v.step for v in found.state.validations] == [0, 2, 4, 6] and len(found.state.losses) == 6
    assert found.state.best_heldout == min(v.heldout for v in found.state.validations)
    method, scan = get_method("crnn"), load(scans / "scan_1.h5")
    config, _ = method.resolve(
        scan, configure("crnn", None, ["nufft=finufft", "iterations=0", f"weights={weights}"])[1]
    )
    assert np.isfinite(method(scan, config).cine.data).all()
    assert "3 scans of" in (tmp_path / "w.md").read_text() and "w.safetensors" in (tmp_path / "w.html").read_text()
    assert not list((tmp_path / "w_training").glob("scan_*"))


def test_a_training_learns_and_another_seed_is_another(train: Train, tmp_path: Path) -> None:
    found = train("iterations=30", "learning_rate=5e-3", "validate_every=10")
    assert np.mean(found.state.losses[-9:]) < np.mean(found.state.losses[:9])
    train(name="again")
    train(name="first")
    train("seed=1", name="other")
    assert same(tmp_path / "first.safetensors", tmp_path / "again.safetensors")
    assert not same(tmp_path / "first.safetensors", tmp_path / "other.safetensors")


@pytest.mark.parametrize("pair", ["loss=ddei", "scans_per_step=2"])
def test_a_stopped_training_goes_on_bit_for_bit(train: Train, tmp_path: Path, pair: str) -> None:
    train(pair, "iterations=6", name="whole")
    seen: list[Step] = []
    with pytest.raises(Interrupted, match="after 3 steps"):
        train(pair, "iterations=6", name="parts", **stop_after(3, seen))
    assert load_network(str(tmp_path / "parts.safetensors"), "crnn").facts["stopped"] == "interrupted"
    assert len(list((tmp_path / "parts_training").glob("scan_*"))) == 4
    found = train(pair, "iterations=6", name="parts", resume=True)
    assert same(tmp_path / "whole.safetensors", tmp_path / "parts.safetensors")
    assert same(tmp_path / "whole_training/state.safetensors", tmp_path / "parts_training/state.safetensors")
    assert found.state.step == 6 and [v.step for v in found.state.validations] == [0, 2, 4, 6]


@pytest.mark.parametrize("last", ["save_network", "build_card", "build_page"])
def test_a_training_killed_as_it_writes_what_it_came_to_is_not_complete(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    def killed(*_: object) -> str:
        raise KeyboardInterrupt

    train("seed=1")  # the one that is replaced
    train(name="whole")
    outputs = Outputs(tmp_path / "w.safetensors")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(f"dainr.studies.train.train.{last}", killed)
        train()
    config = configure_training("crnn", None, QUICK)[1]
    assert not is_complete(TrainingFolder(outputs.work), outputs, config)
    train(resume=True)
    assert same(tmp_path / "whole.safetensors", outputs.weights)
    assert is_complete(TrainingFolder(outputs.work), outputs, config)
    outputs.page.unlink()
    assert not is_complete(TrainingFolder(outputs.work), outputs, config)


def test_what_was_stopped_while_it_prepared_is_not_prepared_again(train: Train, tmp_path: Path) -> None:
    done: list[int] = []
    with pytest.raises(Interrupted, match="2 of 4 scans are prepared"):
        train(tell=lambda number, of, why: done.append(number), stop_requested=lambda: len(done) == 2)
    times = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "w_training").glob("scan_*")}
    assert len(times) == 2
    later: list[dict[str, int]] = []

    def look(_: Step) -> None:
        later.append({name: (tmp_path / "w_training" / name).stat().st_mtime_ns for name in times})

    train(resume=True, observers=[look])
    assert later[0] == times


def test_a_training_goes_on_for_longer_with_its_scans_prepared_again(train: Train, scans: Path, tmp_path: Path) -> None:
    train()
    found = train("iterations=7", resume=True)
    assert found.state.step == 7
    copy = tmp_path / "others"
    copy.mkdir()
    (copy / "scan_1.h5").write_bytes((scans / "scan_1.h5").read_bytes())
    with pytest.raises(BadScan, match="others than when the training began"):
        train("iterations=8", folder=copy, resume=True)


def test_what_a_training_may_change_when_it_goes_on(train: Train, scans: Path, tmp_path: Path) -> None:
    train()
    work = TrainingFolder(Outputs(tmp_path / "w.safetensors").work)
    asked = Request("", "", str(scans))
    assert stored_request(work, asked, ["iterations=9", "device=cpu"])[1].training.iterations == 9
    assert stored_request(work, asked, ["iterations=9"])[1].training.validate_every == 2
    for request, pairs, why in (
        (asked, ["learning_rate=0.5"], "training.learning_rate differ"),
        (replace(asked, method="crunet"), [], "--method"),
        (replace(asked, folder=str(tmp_path)), [], "folder of scans"),
        (replace(asked, binning={"spokes_per_frame": 3}), [], "frames, matrix"),
    ):
        with pytest.raises(BadRequest, match=why):
            stored_request(work, request, pairs)


def test_a_training_whose_scans_were_moved_goes_on_and_tells_of_their_new_place(
    train: Train, scans: Path, tmp_path: Path
) -> None:
    train()
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for number in range(4):
        (moved / f"other_{number}.h5").write_bytes((scans / f"scan_{number}.h5").read_bytes())
    work = TrainingFolder(Outputs(tmp_path / "w.safetensors").work)
    request, config = stored_request(work, Request("", "", str(moved)), ["iterations=6"])
    assert (request.folder, config.training.iterations) == (str(moved), 6)
    (moved / "other_3.h5").unlink()
    with pytest.raises(BadRequest, match="folder of scans"):
        stored_request(work, Request("", "", str(moved)), [])


def test_patience_ends_a_training(train: Train) -> None:
    found = train("iterations=40", "patience=2", "validate_every=1", "learning_rate=0.3", "warm_up=0")
    assert found.state.stopped == "converged" and found.state.step < 40
    assert found.state.best_step == found.state.step - 2


def test_references_are_in_the_units_of_the_fit_and_teach(train: Train, scans: Path, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for path in scans.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    scan = load(folder / "scan_1.h5")
    assert scan.reference is not None
    native.write(replace(scan, reference=None), folder / "without.h5")
    native.write(replace(scan, reference=np.roll(scan.reference, 9, -1)), folder / "another.h5")
    native.write(replace(scan, reference=np.abs(scan.reference).astype(np.complex64)), folder / "magnitudes.h5")
    found = train("loss=supervised", "iterations=24", "learning_rate=5e-3", folder=folder)
    assert set(found.index.skipped) == {"without", "another"}
    assert "has no reference" in found.index.skipped["without"]
    assert "unexplained" in found.index.skipped["another"]
    assert np.mean(found.state.losses[-8:]) < np.mean(found.state.losses[:8])


@pytest.mark.parametrize(
    ("name", "pairs", "why"),
    [
        ("grasp", [], "it is no network"),
        ("crnn", ["holdout=0"], "nothing judges"),
        ("crnn", ["iterations=0"], "nothing else ends"),
        ("crnn", ["validation_share=1"], "it is 1"),
        ("crnn", ["learning_rate=-1"], "out of range"),
        ("crnn", ["patience=-1"], "out of range"),
    ],
)
def test_settings_that_make_no_sense_are_refused(name: str, pairs: list[str], why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        configure_training(name, None, [*(QUICK if name == "crnn" else ()), *pairs])


def test_a_damaged_state_is_said(train: Train, tmp_path: Path) -> None:
    train()
    state = tmp_path / "w_training/state.safetensors"
    state.write_bytes(state.read_bytes()[:-9])
    with pytest.raises(BadScan, match="it is damaged"):
        train("iterations=8", resume=True)
    (tmp_path / "w_training/index.json").write_text(json.dumps({"samples": 3}))
    with pytest.raises(BadScan, match="it is damaged"):
        train("iterations=8", resume=True)
