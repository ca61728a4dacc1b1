"""Passes are chosen by device, and compiled code from the disk is the code that was just compiled."""

import ast
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from dainr.io.scans import native
from dainr.kernels import compiling
from dainr.kernels.compiling import chosen, on_cuda, passes_of, plain_torch
from dainr.runs.run import load_run
from dainr.scan import Scan
from tests.cli import CONSOLE_SCRIPT, TINY_OPTIONS


@pytest.mark.slow
def test_first_fit_after_installing_equals_the_next(radial_scan: Scan, tmp_path: Path) -> None:
    native.write(radial_scan, tmp_path / "scan.h5")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    cines = []
    for run in (tmp_path / "first", tmp_path / "second"):
        fit = [CONSOLE_SCRIPT, "fit", tmp_path / "scan.h5", "-o", run, *TINY_OPTIONS, "--set", "nufft=compiled"]
        subprocess.run(fit, capture_output=True, env=environment, check=True)
        cines.append(load_run(run).cine.data)
    assert list((tmp_path / "cache").rglob("warp_cpu*.nbc"))
    assert np.array_equal(cines[0], cines[1])


def test_a_device_takes_its_compiled_pass_and_any_other_plain_torch() -> None:
    cpu, meta = torch.device("cpu"), torch.device("meta")
    assert chosen(cpu, "plain", cpu="compiled") == "compiled"
    assert chosen(meta, "plain", cpu="compiled") == chosen(cpu, "plain", cpu=None) == "plain"


def test_plain_torch_can_be_asked_for_and_ends_with_its_block() -> None:
    cpu = torch.device("cpu")
    with plain_torch():
        assert chosen(cpu, "plain", cpu="compiled") == "plain"
    assert chosen(cpu, "plain", cpu="compiled") == "compiled"


def test_passes_of_another_device_can_be_asked_for_and_end_with_their_block() -> None:
    cpu = torch.device("cpu")
    with passes_of("cuda"):
        assert chosen(cpu, "plain", cpu="compiled", cuda="Triton") == "Triton"
        assert chosen(cpu, "plain", cpu="compiled") == "plain"
    assert chosen(cpu, "plain", cpu="compiled", cuda="Triton") == "compiled"


@pytest.fixture
def asked_again() -> Iterator[None]:
    """What was found out about a GPU is forgotten, before and after."""
    compiling._triton_serves.cache_clear()
    yield
    compiling._triton_serves.cache_clear()


@pytest.mark.usefixtures("asked_again")
def test_a_gpu_too_old_for_triton_takes_plain_torch_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("triton", reason="Triton is not for this system")
    cuda, answers = torch.device("cuda", 0), []
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1))
    with caplog.at_level(logging.WARNING):
        answers = [chosen(cuda, "plain", cuda="Triton") for _ in range(2)]
    assert answers == ["plain", "plain"]
    (record,) = caplog.records
    assert record.message.startswith("cuda:0: no compiled passes")
    assert "capability is 6.1" in record.message


@pytest.mark.usefixtures("asked_again")
def test_a_system_without_triton_takes_plain_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "dainr.kernels.compiling_cuda", raising=False)
    assert chosen(torch.device("cuda", 0), "plain", cuda="Triton") == "plain"


@pytest.mark.usefixtures("asked_again")
def test_a_gpu_on_which_a_kernel_runs_takes_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    common = pytest.importorskip("dainr.kernels.compiling_cuda", reason="Triton is not for this system")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(common, "try_out", lambda device: None)
    assert chosen(torch.device("cuda", 0), "plain", cuda="Triton") == "Triton"


def test_numbers_of_double_precision_take_the_plain_pass() -> None:
    double = on_cuda("nowhere.nothing", torch.square)
    assert double(torch.full((), 3.0, dtype=torch.float64)) == 9
    with pytest.raises(ModuleNotFoundError):
        double(torch.full((), 3.0))


def test_triton_is_imported_by_passes_on_cuda_alone() -> None:
    root = Path(compiling.__file__).parents[1]
    found = []
    for path in root.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import | ast.ImportFrom) and not path.stem.endswith("_cuda"):
                names = [f"{getattr(node, 'module', None) or ''}.{alias.name}" for alias in node.names]
                found += [f"{path.name}: {n}" for n in names if re.search(r"^\.?triton|dainr\.kernels\.\w+_cuda", n)]
    assert found == []
