"""The script that made the shipped weights, run for a few steps."""

import csv
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from dainr.machine.checksum import file_sha256
from dainr.networks.encoders.mdsr import STAGES
from dainr.networks.restorer import restore_triples
from dainr.networks.weights import MANIFEST, load_encoder
from dainr.pretrained import pairs, train
from dainr.pretrained.pairs import make_pairs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of a few small scenes."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "pairs").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "MATRIX", 48)
        patch.setattr(pairs, "FRAMES", 4)
        for number in range(3):
            make_pairs(number, folder / "pairs")
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "BATCH", 1)
    monkeypatch.setattr(train, "PATCH", 24)
    monkeypatch.setattr(train, "N_VALIDATION", 1)
    monkeypatch.setattr(train, "SAVE_EVERY", 2)


def scenes(folder: Path) -> list[dict[str, np.ndarray]]:
    return [dict(np.load(path)) for path in sorted((folder / "pairs").iterdir())]


def test_later_stages_are_nearer_to_the_truth(folder: Path) -> None:
    for scene in scenes(folder):
        truth = scene["truth"].astype(np.float32)
        errors = {stage: np.abs(scene[stage].astype(np.float32) - truth).mean() for stage in STAGES}
        assert errors["fitted"] < errors["iterated"] < errors["gridded"]


def test_pairs_that_are_there_are_not_made_again(folder: Path) -> None:
    path = folder / "pairs" / "0.npz"
    made = path.stat().st_mtime_ns
    assert make_pairs(0, folder / "pairs") == path
    assert path.stat().st_mtime_ns == made


def test_the_first_network_returns_its_input() -> None:
    triples = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    for scale in STAGES.values():
        with torch.no_grad():
            returned = restore_triples(train.first_network(), triples, scale)
        assert functional.l1_loss(returned, triples) < 0.05


def test_a_batch_follows_from_its_step(folder: Path) -> None:
    (stage, degraded, true), again, other = (train.draw_batch(scenes(folder), step) for step in (3, 3, 4))
    assert stage in STAGES and degraded.shape == true.shape == (1, 3, 24, 24)
    assert torch.equal(degraded, again[1]) and torch.equal(true, again[2])
    assert not torch.equal(degraded, other[1])
    assert 0 < functional.l1_loss(degraded, true) < functional.l1_loss(degraded, true.flip(-1).roll(7, -2))


def test_interrupted_training_goes_on_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    (tmp_path / "parts" / "pairs").mkdir()
    here = scenes(folder)
    whole = train.train(here, 4, torch.device("cpu"), tmp_path / "whole")
    saved = torch.load(tmp_path / "whole" / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 4
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "draw_batch", interrupt_at(3, train.draw_batch))
        with pytest.raises(KeyboardInterrupt):
            train.train(here, 4, torch.device("cpu"), tmp_path / "parts")
    parts = train.train(here, 4, torch.device("cpu"), tmp_path / "parts")
    for name, value in train.shipped_tensors(whole).items():
        assert torch.equal(value, train.shipped_tensors(parts)[name]), name
    with (tmp_path / "whole" / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) > 0 and np.isfinite(float(rows[-1]["fitted_gain_db"]))


def test_the_command_writes_weights_that_load(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "made.safetensors"
    train.main(["--work", str(folder), "--scenes", "3", "--steps", "1", "--processes", "1", "-o", str(output)])
    loaded = load_encoder("mdsr", str(output), 0)
    assert loaded.restores_frames
    assert torch.equal(loaded.head[0].weight, load_file(output)["head.0.weight"].float())
    assert output.stat().st_size < 8e6
    entry = tomllib.loads((tmp_path / MANIFEST).read_text())["made"]
    assert entry["sha256"] == file_sha256(output) and "--scenes 3 --steps 1" in entry["source"]


def interrupt_at(step: int, draw: object) -> object:
    def drawn(scenes: object, number: int) -> object:
        if number == step:
            raise KeyboardInterrupt
        return draw(scenes, number)  # type: ignore[operator]

    return drawn
