"""A finished run that other tests read, and a scan of several slices."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from dainr.io.scans import native
from dainr.scan import Scan
from tests.helper import repeated

from . import TINY_OPTIONS, Result, succeed


@dataclass(frozen=True)
class FinishedRun:
    """The folder of a run, its scan, and what the command said. Read only: tests that change it copy it."""

    folder: Path
    scan: Path
    result: Result


@pytest.fixture(scope="session")
def finished(radial_scan: Scan, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A fit of the radial phantom that ended well."""
    folder = tmp_path_factory.mktemp("finished")
    scan = folder / "radial.h5"
    native.write(radial_scan, scan)
    result = succeed("fit", scan, "-o", folder / "run", *TINY_OPTIONS)
    return FinishedRun(folder / "run", scan, result)


@pytest.fixture
def stack_file(radial_scan: Scan, tmp_path: Path) -> Path:
    """Three slices, the second and third twice and three times as bright."""
    path = tmp_path / "stack.h5"
    stack = repeated(radial_scan, 3)
    brighter = stack.kspace * np.array([1, 2, 3], np.float32)[:, None, None, None]
    native.write(replace(stack, kspace=brighter, reference=None), path)
    return path
