"""GRAPPA by pygrappa gets the lines it thinks it gets, and fills in what is missing."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import grappa, quality
from benchmarks.bart import on_grid
from dainr.io.scans import native
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

installed = pytest.mark.skipif(grappa.grappa_version() is None, reason="pygrappa is not installed")


def lines(pattern: str, calibration: int, acceleration: float = 2) -> Scan:
    kind = {"pattern": pattern, "calibration": calibration, "acceleration": acceleration}
    return simulate_phantom(SimulationConfig(matrix=32, frames=4, coils=4, snr=80, **kind))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("measured", "most", "block"),
    [
        ("0111101", 9, (1, 5)),
        ("1110111", 9, (3, 3)),
        ("1111111", 9, (0, 7)),
        ("1011000", 9, (2, 4)),
        ("1111111", 3, (2, 5)),
    ],
)
def test_the_block_about_the_centre_has_no_gap(measured: str, most: int, block: tuple[int, int]) -> None:
    found = grappa.central_block(np.array([letter == "1" for letter in measured]), most)
    assert (found.start, found.stop) == block


def test_lines_lie_on_their_grid() -> None:
    scan = lines("uniform", 0, 4)
    part = prepare_slice(scan, 0, PrepareConfig(holdout=0.0, coil_loss=0.0), 0)
    kspace, measured = on_grid(part)
    assert kspace.shape == (len(part.kspace), 4, 32, 32) and measured.sum() == scan.n_readouts
    assert (np.abs(kspace).sum((0, 3)) > 0).tolist() == measured.tolist()
    full = grappa.combined(kspace, part)
    assert full.shape == (4, 32, 32)


@installed
@pytest.mark.parametrize(("pattern", "calibration"), [("fixed", 12), ("interleaved", 0)])
def test_missing_lines_are_filled_in_from_own_or_common_calibration_lines(
    tmp_path: Path, pattern: str, calibration: int
) -> None:
    scan = lines(pattern, calibration)
    native.write(scan, tmp_path / "scan.h5")
    assert scan.reference is not None
    found = grappa.reconstruct(tmp_path / "scan.h5", scan.reference)
    part = prepare_slice(scan, 0, PrepareConfig(holdout=0.0, coil_loss=0.0), 0)
    zeros = part.scale * grappa.combined(on_grid(part)[0], part)
    without = quality_of(zeros, scan)
    assert found.scores.whole.psnr > without + 2
    assert found.seconds > 0


@installed
def test_measured_lines_stay_as_they_are() -> None:
    random = np.random.default_rng(0)
    kspace = random.standard_normal((2, 3, 24, 16)) + 1j * random.standard_normal((2, 3, 24, 16))
    measured = np.zeros((3, 24), bool)
    measured[:, ::2] = measured[:, 6:18] = True
    kspace *= measured[:, :, None]
    filled = grappa.fill(kspace, measured)
    np.testing.assert_allclose(filled[:, measured], kspace[:, measured])
    assert np.abs(filled[:, ~measured]).min() > 0


@installed
def test_what_it_cannot_reconstruct_is_said(tmp_path: Path, radial_scan: Scan) -> None:
    for scan, words in ((lines("fixed", 0, 4), "calibration lines"), (radial_scan, "lines on a grid")):
        native.write(scan, tmp_path / "scan.h5")
        assert scan.reference is not None
        with pytest.raises(RuntimeError, match=words):
            grappa.reconstruct(tmp_path / "scan.h5", scan.reference)


@installed
def test_the_table_has_a_row_of_it(tmp_path: Path) -> None:
    native.write(lines("fixed", 12), tmp_path / "scan.h5")
    quality.main(["--data", str(tmp_path), "--methods", "grappa", "--device", "cpu", "-o", str(tmp_path / "q.md")])
    text = (tmp_path / "q.md").read_text()
    assert "| GRAPPA by pygrappa | **" in text and f"pygrappa {grappa.grappa_version()}" in text


def quality_of(images: np.ndarray, scan: Scan) -> float:
    from dainr.assess.scores import evaluate

    return evaluate(images[None], scan.reference).whole.psnr  # type: ignore[arg-type]
