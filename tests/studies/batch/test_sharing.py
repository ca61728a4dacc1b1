"""Cases that share GPUs: which devices there are by which names, and how many cases fit on each."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from dainr.errors import BadRequest, BadScan, MissingBackend
from dainr.io import ReadOptions
from dainr.io.scans import native
from dainr.machine import probe
from dainr.methods.dainr.config import DainrConfig
from dainr.prepare.binning import Binning
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.studies.batch import sharing
from dainr.studies.batch.cases import Case
from dainr.studies.batch.engine import Workers
from dainr.studies.batch.sharing import Gpu, forecast_need, largest_need, share_gpus, take_turns, visible_gpus
from dainr.studies.batch.work import Job
from dainr.studies.forecast import CUDA_BYTES, gpu_bytes
from tests.conftest import TINY

GB = 2**30
Machine = Callable[..., None]


def job(path: Path) -> Job:
    return Job(Case(path.stem, path), path.parent, (), (), 0.0)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes a machine with as many GPUs as free memories are given, 16 cores, and CUDA_VISIBLE_DEVICES where set."""

    def make(*free: int, visible: str | None = None, cores: int = 16, memory: int = 128 * GB) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(free))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        told = SimpleNamespace(stdout="\n".join(map(str, free)), returncode=0)
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: told)
        monkeypatch.setattr(sharing, "usable_cores", lambda: cores)
        monkeypatch.setattr(sharing, "memory_bytes", lambda device: memory if device.type == "cpu" else 0)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return make


def needing(size: int) -> Callable[[Job], int]:
    return lambda _: size


JOBS = [job(Path("a.h5"))]


@pytest.mark.parametrize(
    ("n", "visible", "names"),
    [
        (2, None, ["0", "1"]),
        (2, "3,1", ["3", "1"]),
        (2, "GPU-8f, GPU-2c", ["GPU-8f", "GPU-2c"]),
        (1, "2,-1,0", ["2"]),  # CUDA leaves out what comes after a number that is none
        (0, "", []),
        (0, None, []),
    ],
)
def test_devices_go_by_the_names_that_are_visible(
    n: int, visible: str | None, names: list[str], machine: Machine
) -> None:
    machine(*[GB] * n, visible=visible)
    assert [gpu.name for gpu in visible_gpus()] == names
    assert take_turns(5, "auto") == Workers(5, tuple(names))


@pytest.mark.parametrize(
    ("free", "need", "cores", "turns"),
    [
        ([10 * GB], 2 * GB, 16, "0000"),  # 4.5 of them fit into nine tenths of what is free
        ([10 * GB, 5 * GB], 2 * GB, 16, "010100"),
        ([1 * GB, 1 * GB], 2 * GB, 16, "01"),  # at least one on each
        ([100 * GB], 2 * GB, 64, "0" * sharing.MOST),
        ([100 * GB, 100 * GB], 2 * GB, 6, "010101"),  # a core for each
        ([0, 10 * GB], 2 * GB, 16, "01111"),  # what is free is not known
        ([-1, 10 * GB], 2 * GB, 16, "1111"),  # torch cannot use it
    ],
)
def test_as_many_cases_run_at_once_as_fit_into_the_free_memory(
    free: list[int], need: int, cores: int, turns: str, machine: Machine
) -> None:
    machine(*free, cores=cores)
    workers, _ = share_gpus(JOBS, "auto", needing(need))
    assert workers == Workers(len(turns), tuple(turns))


def test_cases_at_once_have_room_in_the_memory_of_the_machine(machine: Machine) -> None:
    machine(100 * GB, 100 * GB, memory=4 * sharing.HOST_BYTES)
    assert share_gpus(JOBS, "auto", needing(2 * GB))[0].count == 4
    machine(100 * GB, 100 * GB, memory=GB)
    assert share_gpus(JOBS, "auto", needing(2 * GB))[0].count == 2


def test_how_many_is_said_in_one_line(machine: Machine) -> None:
    machine(10 * GB)
    said = "4 cases at once on the GPU: each needs about 2.0 GB, and 10.0 GB are free"
    assert share_gpus(JOBS, "cuda", needing(2 * GB))[1] == said
    machine(10 * GB, 5 * GB)
    said = "4 and 2 cases at once on each GPU: each needs about 2.0 GB, and 10.0 and 5.0 GB are free"
    assert share_gpus(JOBS, "cuda", needing(2 * GB))[1] == said
    machine(0)
    assert share_gpus(JOBS, "cuda", needing(2 * GB))[1].endswith("how much memory they need or have is not known")


def test_a_device_by_its_number_is_the_fits_own_choice(machine: Machine) -> None:
    """A fit that is shown one device alone would not find cuda:1."""
    machine(5 * GB, 10 * GB, visible="4,7")
    workers, said = share_gpus(JOBS, "cuda:1", needing(2 * GB))
    assert (workers, said[:12]) == (Workers(4), "4 cases at o")
    assert take_turns(3, "cuda:1") == Workers(3)


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 2), ("auto", 0)])
def test_without_a_gpu_one_case_takes_all_cores(device: str, gpus: int, machine: Machine) -> None:
    def asked(_: Job) -> int:
        raise AssertionError("nothing needs to be read")

    machine(*[GB] * gpus)
    assert share_gpus(JOBS, device, asked) == (Workers(1), "")
    assert take_turns(3, device) == Workers(3)


def test_a_device_that_is_not_there_is_said_before_anything_runs(machine: Machine) -> None:
    machine(GB)
    with pytest.raises(MissingBackend, match="--device cuda:1"):
        share_gpus(JOBS, "cuda:1", needing(GB))
    with pytest.raises(BadRequest, match="--device tpu"):
        take_turns(2, "tpu")


def test_the_largest_file_that_can_be_read_decides(tmp_path: Path) -> None:
    sizes = {"small": 10, "large": 100, "broken": 1000}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    asked: list[str] = []

    def need(one: Job) -> int:
        asked.append(one.case.name)
        if one.case.name == "broken":
            raise BadScan("broken", "it is damaged", "copy it again")
        return 7

    assert largest_need([job(tmp_path / name) for name in (*sizes, "gone")], need) == 7
    assert asked == ["broken", "large"]
    assert largest_need([job(tmp_path / "broken")], need) == 0


def test_what_a_case_needs_is_counted_from_its_scan(radial_scan: Scan, tmp_path: Path) -> None:
    native.write(radial_scan, tmp_path / "scan.h5")
    config = build_config(DainrConfig, {}, TINY)
    need = forecast_need(ReadOptions(), Binning(), config)(job(tmp_path / "scan.h5"))
    assert need == gpu_bytes(radial_scan, config) > CUDA_BYTES
    assert forecast_need(ReadOptions(), Binning(matrix=(16, 16)), config)(job(tmp_path / "scan.h5")) < need


def test_the_free_memory_is_asked_for_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose program runs here as it is, where torch sees no GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    gpus: Sequence[Gpu] = (Gpu(0, "GPU-8f"),)
    told = subprocess.CompletedProcess([], 0, stdout="12345\n")
    programs: list[str] = []

    def run(command: Sequence[str], **_: object) -> subprocess.CompletedProcess[str]:
        programs.append(command[-1])
        return told

    monkeypatch.setattr(subprocess, "run", run)
    assert sharing.with_free_memory(gpus) == (Gpu(0, "GPU-8f", 12345),)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (678, 1000))
    for why, free in ((None, 678), ("it is too old", -1)):
        monkeypatch.setattr(probe, "why_unusable", lambda device, why=why: why)
        exec(programs[0], {"print": (shown := list[int]()).append})
        assert shown == [free]


@pytest.mark.parametrize("error", [subprocess.CalledProcessError(1, "python"), subprocess.TimeoutExpired("python", 1)])
def test_where_torch_cannot_tell_nothing_is_known(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    assert sharing.with_free_memory([Gpu(0, "0")]) == (Gpu(0, "0"),)
