"""What is said of a scan is true of it."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from dainr.assess.describe import describe, full_sampling, in_words, is_radial
from dainr.io import load
from dainr.simulate import SimulationConfig, simulate_phantom
from dainr.simulate.sampling import SPIRALS
from tests.conftest import as_points
from tests.io import small_scan


def with_trajectory(scan, trajectory):
    return replace(scan, trajectory=np.broadcast_to(trajectory, scan.trajectory.shape).astype(np.float32))


def test_spirals_are_counted_by_their_turns():
    scan = simulate_phantom(SimulationConfig(pattern="spiral", spokes=3, coils=2, frames=4, matrix=32))
    facts = describe(scan)
    assert (facts["sampling"], facts["readouts_per_frame"]) == ("spiral", [3, 3])
    assert facts["acceleration"] == pytest.approx(SPIRALS / 3, rel=0.05)
    assert "4 frames of 3 spirals: " in " ".join(in_words(scan)[0])


@pytest.mark.parametrize(("repeats", "words"), [(1, "such as 32, for 1 frame)"), (3, "such as 32, for 3 frames)")])
def test_lines_are_binned_by_passes_over_k_space(repeats, words):
    scan = simulate_phantom(SimulationConfig(pattern="uniform", acceleration=1, coils=2, frames=repeats, matrix=32))
    assert words in in_words(replace(scan, frame=None))[1][0]


def test_the_facts_of_a_radial_scan(radial_scan):
    facts = json.loads(json.dumps(describe(radial_scan)))
    assert facts["sampling"] == "radial"
    assert (facts["frames"], facts["readouts_per_frame"], facts["coils"], facts["slices"]) == (6, [9, 9], 4, 1)
    assert (facts["readouts"], facts["samples_per_readout"], facts["matrix"]) == (54, 64, [32, 32])
    assert facts["pixel_mm"] == [10, 10]
    assert facts["acceleration"] == pytest.approx(math.pi / 2 * 32 / 9, abs=0.05)
    assert facts["duration_s"] == pytest.approx(53 / 54, abs=1e-3)
    assert facts["noise_measurement"] and facts["reference"] and facts["cardiac_phases"]
    assert not facts["coil_maps"] and not facts["oriented"]


def test_the_facts_of_a_cartesian_scan(cartesian_scan):
    facts = describe(cartesian_scan)
    assert facts["sampling"] == "Cartesian"
    assert facts["acceleration"] == pytest.approx(32 / 11, abs=0.05)
    assert full_sampling(cartesian_scan) == 32


def test_only_straight_readouts_through_the_centre_are_radial(radial_scan):
    t = np.linspace(0, 1, radial_scan.n_samples)[:, None]
    spiral = 0.4 * t * np.concatenate([np.sin(12 * t), np.cos(12 * t)], 1)
    beside = np.concatenate([t - 0.5, np.full_like(t, 0.2)], 1) * 0.9
    assert is_radial(radial_scan)
    assert not is_radial(with_trajectory(radial_scan, spiral))
    assert not is_radial(with_trajectory(radial_scan, beside))
    assert describe(with_trajectory(radial_scan, spiral))["sampling"] == "spiral"
    assert describe(with_trajectory(radial_scan, beside))["sampling"] == "non-Cartesian"


def test_words_for_a_scan_with_everything():
    content, plan = (" ".join(part) for part in in_words(small_scan(notes=("two readouts skipped",))))
    assert "2 slices, 3 coils, 6 readouts of 10 samples each slice" in content
    assert "Image 8 x 12 (y, x), pixels 20 x 20 mm, slice 7 mm." in content
    assert "3 frames of 2 readouts" in content
    assert "A noise measurement, coil maps, a reference to score against." in content
    assert content.endswith("Two readouts skipped.")
    assert "by the noise measurement" in plan and "coil maps of the file" in plan and "2 slices in turn" in plan


def test_words_for_a_scan_with_little(cartesian_scan):
    bare = replace(cartesian_scan, noise=None, reference=None)
    content, plan = (" ".join(part) for part in in_words(bare))
    assert "no orientation stored" in content
    assert "No noise measurement, no coil maps." in content
    assert "k-space edge" in plan and "Estimate coil maps" in plan and "without a NUFFT" in plan


@pytest.mark.parametrize("phase", [True, False])
def test_a_scan_without_frames_is_told_how_to_choose_them(radial_scan, phase):
    unbinned = replace(radial_scan, frame=None, phase=radial_scan.phase if phase else None)
    content, (plan,) = in_words(unbinned)
    assert "Its readouts are not binned into frames." in content
    assert "--spokes-per-frame" in plan
    assert ("--frames-per-cycle" in plan) == phase


def test_unequal_frames_and_a_single_frame_are_said():
    uneven = small_scan(frame=np.array([0, 0, 0, 1, 2, 2], np.int32))
    assert describe(uneven)["readouts_per_frame"] == [1, 3]
    assert "3 frames of 1 to 3 readouts" in " ".join(in_words(uneven)[0])
    still = simulate_phantom(SimulationConfig(spokes=5, coils=2, frames=1, matrix=16))
    assert "still image" in in_words(still)[1][-1]


@pytest.mark.data
def test_the_shared_cartesian_series_is_described_as_its_notes_say(data_folder):
    facts = describe(load(data_folder / "saxvd8.h5"))
    assert (facts["sampling"], facts["matrix"], facts["frames"]) == ("Cartesian", [192, 156], 25)
    assert facts["acceleration"] == pytest.approx(8, abs=0.1)
    assert facts["noise_measurement"]


def test_points_on_the_grid_are_counted_as_points(cartesian_scan):
    scan = as_points(cartesian_scan)
    content, plan = in_words(scan)
    assert f" {scan.n_readouts} points." in content[0]
    assert describe(scan)["acceleration"] == describe(cartesian_scan)["acceleration"]
    assert any("without a NUFFT" in line for line in plan)


def test_samples_that_end_near_the_centre_are_told(radial_scan):
    near = with_trajectory(radial_scan, 0.1 * radial_scan.trajectory)
    assert describe(near)["k_reach"] == pytest.approx(0.1 * describe(radial_scan)["k_reach"], abs=1e-4)
    assert "other units" in " ".join(in_words(near)[0])
    assert "other units" not in " ".join(in_words(radial_scan)[0])


def test_one_axis_hardly_measured_is_enough_to_tell(radial_scan):
    flat = with_trajectory(radial_scan, radial_scan.trajectory * np.float32([0.2, 1]))
    assert describe(flat)["k_reach"] == pytest.approx(0.1, abs=0.01)
