"""Scans of random scenes: each complete, of its own kind, and the same whatever else is asked for."""

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.scan import Scan
from dainr.simulate import scene_scans
from dainr.simulate.scene_scans import SceneConfig, simulate_scene

SMALL = {"matrix": 24, "frames": 4, "coils": 2}


@pytest.fixture(scope="module")
def scans() -> list[Scan]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scene_scans, "SIDES", range(24, 41, 8))
        patch.setattr(scene_scans, "CALIBRATIONS", (0, 4))
        patch.setattr(scene_scans, "ACCELERATIONS", (2.0, 4.0))
        return [simulate_scene(number) for number in range(24)]


def test_every_scan_has_a_reference_of_its_own_size(scans: list[Scan]) -> None:
    for scan in scans:
        assert scan.reference is not None and scan.noise is not None
        assert scan.reference.shape == (1, scan.n_frames, *scan.matrix)
        assert scan.reference.dtype == np.float32 and scan.reference.max() > 0
        assert scan.readouts_per_frame.min() > 0


def test_they_differ_in_all_that_is_drawn(scans: list[Scan]) -> None:
    for kinds in (
        {scan.matrix for scan in scans},
        {scan.matrix[0] == scan.matrix[1] for scan in scans},
        {scan.n_frames for scan in scans},
        {scan.n_coils for scan in scans},
        {scan.is_cartesian for scan in scans},
        {scan.cyclic for scan in scans},
        {round(float(scan.times.max())) for scan in scans},
    ):
        assert len(kinds) > 1, kinds


def test_frames_that_are_no_closed_cycle_have_no_phase(scans: list[Scan]) -> None:
    assert {(scan.cyclic, scan.phase is None) for scan in scans} == {(True, False), (False, True)}
    for scan in scans:
        assert (np.diff(scan.times[0]) > 0).all()


def test_a_scene_follows_from_seed_and_number_alone() -> None:
    config = SceneConfig(**SMALL, seed=5)
    first, again, other, seeded = (
        simulate_scene(number, one)
        for number, one in ((3, config), (3, config), (4, config), (3, SceneConfig(**SMALL)))
    )
    np.testing.assert_array_equal(first.kspace, again.kspace)
    np.testing.assert_array_equal(first.noise, again.noise)
    for unlike in (other, seeded):
        assert first.kspace.shape != unlike.kspace.shape or not np.allclose(first.kspace, unlike.kspace)


def test_what_is_fixed_changes_nothing_else() -> None:
    free, fixed = (simulate_scene(2, SceneConfig(**SMALL, snr=snr)) for snr in (None, 1e6))
    np.testing.assert_array_equal(free.trajectory, fixed.trajectory)
    assert free.reference is not None and fixed.reference is not None
    ratio = fixed.reference[free.reference > 1] / free.reference[free.reference > 1]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "cartesian"),
    [
        ({"spokes": 3}, {False}),
        ({"acceleration": 3.0}, {True}),
        ({"pattern": "fixed"}, {True}),
        ({"pattern": "radial"}, {False}),
        ({"spokes": 3, "acceleration": 3.0}, {True, False}),
    ],
)
def test_options_choose_the_kinds_of_sampling(given: dict, cartesian: set[bool]) -> None:
    config = SceneConfig(**SMALL, **given)
    found = set()
    for number in range(8):
        scan = simulate_scene(number, config)
        found.add(scan.is_cartesian)
        if "spokes" in given and not scan.is_cartesian:
            assert set(scan.readouts_per_frame[0]) == {3}
        assert (scan.matrix, scan.n_frames, scan.n_coils) == ((24, 24), 4, 2)
    assert found == cartesian


@pytest.mark.parametrize("pattern", ["vista", "uniform"])
def test_every_scene_can_have_the_calibration_lines_asked_for(pattern: str) -> None:
    for number in range(6):
        scan = simulate_scene(number, SceneConfig(**SMALL, pattern=pattern, calibration=10))
        lines = np.rint(scan.trajectory[0, :, 0, 0] * 24).astype(int)
        for frame in range(4):
            assert set(range(-5, 5)) <= set(lines[scan.frame[0] == frame])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"pattern": "stack-of-stars"}, "--pattern stack-of-stars: a scene has one slice"),
        ({"pattern": "waves"}, "--pattern waves"),
        ({"pattern": "vista", "spokes": 3}, "--spokes: pattern vista has lines"),
        ({"pattern": "radial", "acceleration": 3.0}, "--acceleration: it is of lines"),
        ({"spokes": 3, "calibration": 4}, "--calibration: it is of lines"),
        ({"calibration": 80}, "--calibration 80: some scenes have 80 lines"),
        ({"matrix": 24, "calibration": 24}, "--calibration 24: some scenes have 24 lines"),
        ({"acceleration": 8.0, "calibration": 12}, "--acceleration 8"),
        ({"acceleration": 500.0}, "--acceleration 500"),
        ({"calibration": -1}, "--calibration -1"),
        ({"coils": 0}, "--coils 0"),
        ({"snr": -1.0}, "--snr"),
    ],
)
def test_what_no_scene_or_not_every_scene_can_have_is_refused(given: dict, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        SceneConfig(**given)
