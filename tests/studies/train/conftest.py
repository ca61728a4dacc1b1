"""A folder of tiny scans, and a training of a few steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dainr.io import ReadOptions
from dainr.io.scans import native
from dainr.prepare.binning import Binning
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.studies.train.config import configure_training
from dainr.studies.train.folder import Request, TrainingFolder
from dainr.studies.train.result import Trained
from dainr.studies.train.train import Outputs, Task, train_into

QUICK = ("nufft=compiled", "device=cpu", "iterations=4", "channels=2", "cascades=2", "validate_every=2", "holdout=0.2")


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four phantoms, 24 x 24, 3 frames: two of spokes, two of lines. Read only."""
    folder = tmp_path_factory.mktemp("scans")
    for number in range(4):
        sampling: dict[str, Any] = {"spokes": 8} if number % 2 else {"pattern": "vista", "acceleration": 2}
        scan = simulate_phantom(SimulationConfig(**sampling, coils=3, frames=3, matrix=24, seed=number))
        native.write(scan, folder / f"scan_{number}.h5")
    return folder


Train = Callable[..., Trained]


@pytest.fixture
def train(scans: Path, tmp_path: Path) -> Train:
    """Trains on a folder into tmp_path/NAME.safetensors."""

    def run(*pairs: str, name: str = "w", folder: Path = scans, resume: bool = False, **how: Any) -> Trained:
        outputs = Outputs(tmp_path / f"{name}.safetensors")
        preset, config = configure_training("crnn", None, [*QUICK, *pairs])
        task = Task(Request("crnn", preset, str(folder)), Binning(), ReadOptions())
        work = TrainingFolder(outputs.work)
        with work.alone():
            return train_into(work, outputs, task, config, resume, **how)

    return run
