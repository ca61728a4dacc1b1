"""Fixtures shared by all tests: small simulated scans, a config that fits in a second, and shared data if present."""

import gc
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "svg")

import numpy as np
import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")  # read when Triton is imported: its kernels run in numpy

from dainr.io.scans import native
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.machine.threads import usable_cores
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

# A fit of a fraction of a second: the default config with the smallest field that still reconstructs.
TINY = (
    "encoder=none",
    "warped.levels=4",
    "warped.log2_table=12",
    "warped.width=16",
    "warped.harmonics=3",
    "warped.motion_control=8",
    "warped.motion_modes=4",
    "warped.coil_control=6",
    "validate_every=10",
    "iterations=30",
    "nufft=finufft",
)

# The same of the published field, one frame a step.
TINY_PAPER = (
    "field=pointwise",
    "encoder=none",
    "canonical.table.levels=6",
    "canonical.table.finest=32",
    "canonical.table.log2_table=12",
    "canonical.width=16",
    "deformation.width=16",
    "deformation.layers=3",
    "frames_per_step=1",
    "learning_rate=5e-3",
    "weight_decay=0.01",
    "decay_of_squares=0.999",
    "warm_up=0",
    "schedule=halving",
    "validate_every=10",
    "iterations=30",
    "nufft=finufft",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """A worker for each core that may be used."""
    return usable_cores()


def pytest_configure(config: pytest.Config) -> None:
    """Workers, and the processes that their tests start, get one thread each: they share the cores."""
    if config.getoption("numprocesses", None):  # here they are about to start
        os.environ["OMP_NUM_THREADS"] = "1"


def pytest_collection_finish() -> None:
    """What is loaded by now stays; every slice ends with a collection of garbage, which need not look there."""
    gc.freeze()


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Two threads, whatever a worker has: for what could go wrong between them."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def radial_scan() -> Scan:
    """A beating phantom, 32 x 32, 6 frames of 9 spokes, 4 coils, with noise and a reference."""
    return simulate_phantom(SimulationConfig(spokes=9, coils=4, frames=6, matrix=32))


@pytest.fixture(scope="session")
def cartesian_scan() -> Scan:
    """The same phantom, variable-density Cartesian, 3-fold."""
    return simulate_phantom(SimulationConfig(pattern="vista", acceleration=3, coils=4, frames=6, matrix=32))


def as_points(scan: Scan) -> Scan:
    """The same measurement, every sample a readout of its own."""
    n = scan.n_samples
    return replace(
        scan,
        kspace=scan.kspace.reshape(*scan.kspace.shape[:2], -1, 1),
        trajectory=scan.trajectory.reshape(scan.n_slices, -1, 1, 2),
        times=np.repeat(scan.times, n, axis=1),
        frame=None if scan.frame is None else np.repeat(scan.frame, n, 1),
        phase=None if scan.phase is None else np.repeat(scan.phase, n, 1),
    )


@pytest.fixture
def radial_file(radial_scan: Scan, tmp_path: Path) -> Path:
    """The radial phantom in a native file."""
    path = tmp_path / "radial.h5"
    native.write(radial_scan, path)
    return path


@pytest.fixture
def cartesian_file(cartesian_scan: Scan, tmp_path: Path) -> Path:
    """The Cartesian phantom in a native file."""
    path = tmp_path / "cartesian.h5"
    native.write(cartesian_scan, path)
    return path


@pytest.fixture(scope="session")
def radial_stream(radial_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The radial phantom, its noise first, as ISMRMRD."""
    path = tmp_path_factory.mktemp("radial") / "scan.h5"
    write_ismrmrd(replace(radial_scan, reference=None, phase=None), path)
    return path


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of shared scans; tests that need it skip where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("DAINR_DATA", default))
    if not (folder / "sax13.h5").is_file():
        pytest.skip(f"the shared scans are not at {folder}")
    return folder
