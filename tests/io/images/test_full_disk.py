"""A disk that gets full: one error with the path, and nothing half-written. Files here may not grow beyond a limit."""

import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dainr.cine import Cine
from dainr.errors import NoRoom
from dainr.export import export
from dainr.fit.state import Step
from dainr.io.scans import native
from dainr.io.scans.ismrmrd_write import write_ismrmrd
from dainr.machine import disk
from dainr.methods.dainr.method import DainrConfig
from dainr.runs.folder import RunFolder
from dainr.runs.run import Request, reconstruct_into
from dainr.scan import Scan
from dainr.settings.build import build_config
from tests.conftest import TINY

LIMIT = 4096  # bytes


def some_cine() -> Cine:
    data = np.random.default_rng(0).normal(size=(2, 5, 32, 32)).astype(np.complex64)
    return Cine(data, np.arange(5) / 5, (300.0, 300.0), 8.0)


@pytest.fixture
def full() -> Iterator[None]:
    """No file may grow beyond the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", ["cine.h5", "cine.nii.gz", "cine.png", "cine.gif", "cine.mrd"])
@pytest.mark.usefixtures("full")
def test_an_export_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoRoom, match=name):
        export(some_cine(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("full")
def test_a_scan_leaves_nothing(radial_scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(NoRoom, match=r"scan\.h5"):
        native.write(radial_scan, tmp_path / "scan.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("full")
def test_an_ismrmrd_scan_leaves_nothing(radial_scan: Scan, tmp_path: Path) -> None:
    """HDF5 would crash where it is told that a disk is full."""
    with pytest.raises(NoRoom, match=r"scan\.mrd"):
        write_ismrmrd(radial_scan, tmp_path / "scan.mrd")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["cine.h5", "cine.npy", "cine.cfl", "cine.mrd", "cine.nii", "dicom"])
def test_the_room_needed_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(NoRoom, match=r"it takes 0\.\d+ MB, 0\.001 MB are free"):
        export(some_cine(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_whose_cine_has_no_room_does_not_begin(
    radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    config, request = build_config(DainrConfig, {}, [*TINY]), Request("dainr", "default", "scan.h5", "0" * 64)
    with pytest.raises(NoRoom, match=r"run/cine\.h5: there is no room for it: it takes 0\.0983 MB"):
        reconstruct_into(RunFolder(tmp_path / "run"), radial_scan, request, config)
    assert list(tmp_path.iterdir()) == []


def test_half_a_film_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "is_nearly_full", lambda _: True)
    with pytest.raises(NoRoom, match=r"film\.mp4"):
        export(some_cine(), tmp_path / "film.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_fit_keeps_its_state_and_goes_on(radial_scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = build_config(DainrConfig, {}, [*TINY, "iterations=12", "device=cpu", "checkpoint_every_s=0"])
    folder, request = RunFolder(tmp_path / "run"), Request("dainr", "default", "scan.h5", "0" * 64)
    steps = iter(range(20))

    def fill(_: Step) -> None:
        if next(steps) == 6:
            monkeypatch.setattr("dainr.runs.folder.save_file", no_room)

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(NoRoom, match="state"):
        reconstruct_into(folder, radial_scan, request, config, [fill])
    monkeypatch.undo()
    assert folder.read_record()["status"] == "no room"
    assert folder.load_state().current is not None
    reconstruct_into(folder, radial_scan, request, config, resume=True)
    assert folder.is_complete
