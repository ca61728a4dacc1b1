"""The true displacement is stored beside the scan, and only read by who asks for it."""

from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadScan
from dainr.io.scans import native
from dainr.simulate import SimulationConfig, simulate_phantom, true_displacement

CONFIG = SimulationConfig(matrix=24, frames=3, coils=2, spokes=3)


def test_it_comes_back_and_the_scan_is_as_ever(tmp_path: Path) -> None:
    scan, truth = simulate_phantom(CONFIG), true_displacement(CONFIG)
    native.write(scan, tmp_path / "scan.h5", truth)
    np.testing.assert_array_equal(native.read_displacement(tmp_path / "scan.h5"), truth)
    np.testing.assert_array_equal(native.read(tmp_path / "scan.h5").kspace, scan.kspace)


def test_a_scan_without_one_says_so(tmp_path: Path) -> None:
    native.write(simulate_phantom(CONFIG), tmp_path / "scan.h5")
    with pytest.raises(BadScan, match=r"no true displacement.*beating"):
        native.read_displacement(tmp_path / "scan.h5")
