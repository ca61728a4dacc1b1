"""Compiled code that comes from the disk is the code that was just compiled."""

import os
import subprocess
from pathlib import Path

import pytest

from dainr.io.scans import native
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
    assert list((tmp_path / "cache").rglob("*.nbc"))
    assert cines[0] == cines[1]
