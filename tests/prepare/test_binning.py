"""Slices, frames and matrix as asked of a scan: contradictions, what becomes of the scan, and the stored form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest, BadScan
from dainr.prepare.binning import Binning
from dainr.prepare.frames import bin_phases, bin_spokes, frames_as_stored
from dainr.prepare.resize import resize_matrix
from dainr.scan import Scan
from tests.helper import repeated


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"spokes_per_frame": 3, "frames_per_cycle": 4}, "--spokes-per-frame and --frames-per-cycle: "),
        ({"frames_per_cycle": 4, "frames": Path("f.txt")}, "--frames-per-cycle and --frames: "),
        ({"every": 3}, "--every: "),
        ({"every": 3, "frames_per_cycle": 4}, "--every: "),
        ({"respiratory_bins": 3}, "--respiratory-bins: "),
        ({"respiratory_bins": 3, "spokes_per_frame": 4}, "--respiratory-bins: "),
    ],
)
def test_contradictions_are_refused_before_there_is_a_scan(asked: dict[str, object], said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        Binning(**asked)  # type: ignore[arg-type]


def same(one: Scan, other: Scan) -> bool:
    return one.notes == other.notes and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("kspace", "trajectory", "times", "frame")
    )


def test_frames_are_made_as_asked(radial_scan: Scan, tmp_path: Path) -> None:
    given = np.arange(radial_scan.n_readouts) % 4
    (tmp_path / "frames.txt").write_text(" ".join(map(str, given)))
    assert same(Binning().applied(radial_scan), frames_as_stored(radial_scan))
    assert same(Binning(spokes_per_frame=6, every=3).applied(radial_scan), bin_spokes(radial_scan, 6, 3))
    assert same(Binning(frames_per_cycle=4).applied(radial_scan), bin_phases(radial_scan, 4))
    listed = Binning(frames=tmp_path / "frames.txt").applied(radial_scan)
    assert listed.readouts_per_frame.tolist() == [np.bincount(given).tolist()]
    with pytest.raises(BadRequest, match="--respiratory-bins 1000"):
        Binning(frames_per_cycle=4, respiratory_bins=1000).applied(radial_scan)
    with pytest.raises(BadScan, match="not binned into frames"):
        Binning().applied(replace(radial_scan, frame=None, reference=None))


def test_slices_are_chosen_first_and_the_matrix_last(radial_scan: Scan) -> None:
    stack = repeated(replace(radial_scan, reference=None, coil_maps=None), 3)
    asked = Binning(spokes_per_frame=6, slices=(0, 2), matrix=(24, 20)).applied(stack)
    assert same(asked, resize_matrix(bin_spokes(stack.select_slices([0, 2]), 6), (24, 20)))
    assert asked.matrix == (24, 20)


@pytest.mark.parametrize(
    ("binning", "stored"),
    [
        (Binning(), {}),
        (Binning(spokes_per_frame=9, every=3), {"spokes_per_frame": 9, "every": 3}),
        (Binning(frames_per_cycle=9, respiratory_bins=1), {"frames_per_cycle": 9, "respiratory_bins": 1}),
        (Binning(frames=Path("a/b.txt")), {"frames": "a/b.txt"}),
        (Binning(slices=(0, 1, 2, 3), matrix=(24, 24)), {"slices": "0-3", "matrix": "24"}),
        (Binning(slices=(0, 2, 4, 5), matrix=(192, 156)), {"slices": "0,2,4-5", "matrix": "192x156"}),
    ],
)
def test_what_is_stored_is_what_the_options_take(binning: Binning, stored: dict[str, object]) -> None:
    assert binning.as_dict() == stored
