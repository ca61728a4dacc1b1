"""Passes are chosen by device, and compiled code from the disk is the code that was just compiled."""

import os
import subprocess
from pathlib import Path

import pytest
import torch

from dainr.io.scans import native
from dainr.kernels.compiling import chosen, plain_torch
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
        cines.append((run / "cine.h5").read_bytes())
    assert list((tmp_path / "cache").rglob("warp_cpu*.nbc"))
    assert cines[0] == cines[1]


def test_a_device_takes_its_compiled_pass_and_any_other_plain_torch() -> None:
    cpu, meta = torch.device("cpu"), torch.device("meta")
    assert chosen(cpu, "plain", cpu="compiled") == "compiled"
    assert chosen(meta, "plain", cpu="compiled") == chosen(cpu, "plain", cpu=None) == "plain"


def test_plain_torch_can_be_asked_for_and_ends_with_its_block() -> None:
    cpu = torch.device("cpu")
    with plain_torch():
        assert chosen(cpu, "plain", cpu="compiled") == "plain"
    assert chosen(cpu, "plain", cpu="compiled") == "compiled"
