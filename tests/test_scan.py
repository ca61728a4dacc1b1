"""The checks and the geometry of Scan and Cine."""

import pickle
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest

import dainr.scan_checks
from dainr.cine import Cine, resample_affine
from dainr.errors import BadScan, DainrError
from dainr.io.scans import formats, native
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frames import bin_phases, bin_spokes, frames_as_stored
from dainr.prepare.resize import resize_matrix
from dainr.prepare.undersample import undersample
from dainr.simulate import SimulationConfig, simulate_phantom
from tests.helper import repeated
from tests.io import AFFINE, random_complex, small_scan


@pytest.fixture(autouse=True)
def checks_as_users_have_them(monkeypatch):
    """Wrong shapes must be refused by the program's own checks; the annotations are only checked in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def with_value(name, index, value):
    """The array of that name with one entry replaced."""
    array = getattr(small_scan(), name).copy()
    array[index] = value
    return {name: array}


BAD = {
    "kspace of three axes": ({"kspace": random_complex(3, 6, 10)}, "slice, coil, readout, sample"),
    "no coils": ({"kspace": np.zeros((2, 0, 6, 10), np.complex64)}, "at least one of each"),
    "trajectory too short": ({"trajectory": np.zeros((2, 6, 9, 2), np.float32)}, "trajectory has shape"),
    "times too short": ({"times": np.zeros((2, 5))}, "times has shape"),
    "frames too short": ({"frame": np.zeros(5, np.int32)}, "frame has shape"),
    "phases too short": ({"phase": np.zeros(5, np.float32)}, "phase has shape"),
    "maps of another matrix": ({"coil_maps": random_complex(2, 3, 8, 11)}, "coil_maps has shape"),
    "affine of three rows": ({"affine": np.eye(3)}, "affine has shape"),
    "noise of other coils": ({"noise": random_complex(2, 40)}, "noise has shape"),
    "tiny matrix": ({"matrix": (2, 12), "coil_maps": None}, "matrix"),
    "negative field of view": ({"fov_mm": (160.0, -1.0)}, "field of view"),
    "field of view that is no number": ({"fov_mm": (float("nan"), 300.0)}, "field of view"),
    "no thickness": ({"slice_thickness_mm": 0.0}, "slice thickness"),
    "nan in k-space": (
        with_value("kspace", (1, 2, 3, 4), np.nan),
        "NaN or Inf, first at index (1, 2, 3, 4)",
    ),
    "inf in times": (with_value("times", (1, 2), np.inf), "times holds NaN or Inf"),
    "nan in trajectory": (with_value("trajectory", (0, 1, 2, 0), np.nan), "trajectory holds NaN"),
    "nan in maps": (with_value("coil_maps", (0, 0, 0, 0), np.nan), "coil_maps holds NaN"),
    "nan in noise": (with_value("noise", (0, 0), np.nan), "noise holds NaN"),
    "nan in affine": ({"affine": np.full((4, 4), np.nan)}, "affine holds NaN"),
    "only zeros": ({"kspace": np.zeros((2, 3, 6, 10), np.complex64)}, "zero everywhere"),
    "k beyond the matrix": (with_value("trajectory", (0, 0, 0, 1), 0.51), "0.51 cycles per pixel, beyond 0.5"),
    "k beyond the other end": (with_value("trajectory", (0, 0, 0, 1), -0.51), "beyond 0.5"),
    "phase of one": (with_value("phase", (0, 3), 1.0), "[0, 1)"),
    "negative phase": (with_value("phase", (0, 3), -0.1), "[0, 1)"),
    "frame below none": (with_value("frame", (0, 0), -2), "a frame index is -2"),
    "no frame": ({"frame": np.full(6, -1, np.int32)}, "no readout is in a frame"),
    "empty frame": ({"frame": np.array([0, 0, 2, 2, 3, 3], np.int32)}, "frame 1 has no readout"),
    "frame out of reach": (with_value("frame", (0, 0), 10**9), "empty"),
}


@pytest.mark.parametrize("kind", BAD)
def test_parts_that_do_not_fit_are_refused_by_name(kind):
    changes, words = BAD[kind]
    with pytest.raises(BadScan) as error:
        small_scan(**changes)
    assert words in str(error.value)
    assert error.value.fix


NOT_FINITE = [kind for kind, (_, words) in BAD.items() if "NaN" in words]


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind not in NOT_FINITE])
def test_other_parts_that_do_not_fit_are_refused_with_the_same_words(kind):
    changes, _ = BAD[kind]
    with pytest.raises(BadScan) as whole:
        small_scan(**changes)
    filled = {n: a if n not in ("frame", "phase") or a.ndim == 2 else np.tile(a, (2, 1)) for n, a in changes.items()}
    with pytest.raises(BadScan) as derived:
        small_scan().changed(**filled)
    assert str(derived.value) == str(whole.value)


@pytest.mark.parametrize("kind", NOT_FINITE)
def test_who_replaces_parts_by_hand_has_them_checked_in_full(kind):
    with pytest.raises(BadScan, match="holds NaN"):
        replace(small_scan().changed(name="derived"), **BAD[kind][0])


def test_a_part_that_a_scan_has_not_is_a_mistake():
    with pytest.raises(TypeError, match="samples"):
        small_scan().changed(samples=1)


def test_what_is_known_of_a_scan_is_not_taken_for_that_of_another():
    y, x = np.meshgrid((np.arange(6) - 4) / 8, (np.arange(10) - 6) / 12, indexing="ij")
    on_grid = np.broadcast_to(np.stack([y, x], -1), (2, 6, 10, 2)).astype(np.float32)
    scan = small_scan(trajectory=on_grid)
    assert scan.is_cartesian and scan.reach == 0.5
    moved = scan.changed(trajectory=on_grid / 3)
    assert not moved.is_cartesian and moved.reach == pytest.approx(0.5 / 3)
    assert moved.changed(trajectory=on_grid).is_cartesian
    assert scan.changed(name="other").kspace is scan.kspace


@pytest.fixture
def looked_at(monkeypatch):
    """The scans whose values were looked at, by name."""
    names, check = [], dainr.scan_checks._check_finite

    def counted(scan):
        names.append(scan.name)
        check(scan)

    monkeypatch.setattr(dainr.scan_checks, "_check_finite", counted)
    return names


@pytest.mark.parametrize("bin_it", [lambda scan: bin_spokes(scan, 9, 3), lambda scan: bin_phases(scan, 4)])
def test_on_the_way_to_a_fit_values_are_looked_at_once(tmp_path, radial_scan, bin_it, looked_at):
    path = tmp_path / "scan.h5"
    native.write(repeated(radial_scan, 3), path)
    looked_at.clear()
    scan = resize_matrix(bin_it(formats.read(path).select_slices([0, 2])), (24, 24))
    for index in range(2):
        prepare_slice(scan, index, PrepareConfig(), 0)
    assert looked_at == [str(path)]


def test_a_scan_undersampled_is_not_looked_at_again(looked_at):
    full = simulate_phantom(SimulationConfig(pattern="uniform", acceleration=1, coils=2, frames=2, matrix=16))
    points = np.random.default_rng(0).random((16, 16, 2)) < 0.5
    assert frames_as_stored(undersample(full, points)).n_samples == 1
    assert looked_at == ["simulation"]


def test_a_scan_from_another_process_was_looked_at_there(looked_at):
    scan = pickle.loads(pickle.dumps(small_scan()))
    assert scan.n_slices == 2
    assert len(looked_at) == 1


def test_an_error_is_one_sentence_of_what_why_and_fix():
    assert str(DainrError("a.h5", "it is empty", "write it again")) == "a.h5: it is empty; write it again."


def test_counts_are_read_off_the_axes():
    scan = small_scan()
    assert (scan.n_slices, scan.n_coils, scan.n_readouts, scan.n_samples, scan.n_frames) == (2, 3, 6, 10, 3)
    assert scan.readouts_per_frame.tolist() == [[2, 2, 2], [2, 2, 2]]
    assert small_scan(frame=None).n_frames == 0


def test_on_grid_samples_are_cartesian_and_others_are_not():
    on_grid = np.stack(np.broadcast_arrays((np.arange(6)[:, None] - 4) / 8, (np.arange(10) - 6) / 12), -1)
    on_grid = np.broadcast_to(on_grid, (2, 6, 10, 2)).astype(np.float32)
    assert small_scan(trajectory=on_grid).is_cartesian
    assert not small_scan(trajectory=on_grid + np.float32(0.01)).is_cartesian
    assert not small_scan().is_cartesian


@pytest.mark.parametrize("keep", [[1], [0, 2], [1, 3], [2, 3, 4], [4, 2, 0], [3, 2], [0]])
def test_selected_slices_keep_their_data_and_their_place(keep):
    n = 5
    scan = small_scan(
        kspace=random_complex(n, 3, 6, 10),
        trajectory=np.zeros((n, 6, 10, 2), np.float32),
        times=np.arange(6.0 * n).reshape(n, 6),
        coil_maps=random_complex(n, 3, 8, 12),
        reference=np.arange(n)[:, None, None, None] * np.ones((1, 3, 8, 12)),
    )
    chosen = scan.select_slices(keep)
    for name in ("kspace", "times", "coil_maps", "reference"):
        np.testing.assert_array_equal(getattr(chosen, name), getattr(scan, name)[keep], err_msg=name)
    for new, old in enumerate(keep):
        np.testing.assert_allclose(chosen.affine @ [3, 4, new, 1], scan.affine @ [3, 4, old, 1])
    np.testing.assert_array_equal(scan.affine, AFFINE)


@pytest.mark.parametrize("keep", [[2], [-1], [], [1, 1]])
def test_slices_that_do_not_exist_are_refused(keep):
    with pytest.raises(BadScan):
        small_scan().select_slices(keep)


def test_a_cine_knows_its_spacing():
    cine = Cine(random_complex(1, 3, 8, 12), np.array([0.0, 0.1, 0.4]), (160.0, 300.0), 7.0)
    assert cine.spacing_mm == (20.0, 25.0)
    assert cine.frame_spacing == pytest.approx(0.2)
    assert Cine(cine.data[:, :1], cine.times[:1], cine.fov_mm, 7.0).frame_spacing == 0


def test_without_orientation_a_cine_is_axial_with_its_centre_at_the_origin():
    affine = Cine(random_complex(1, 1, 8, 12), np.zeros(1), (160.0, 300.0), 7.0).orientation()
    np.testing.assert_allclose(affine @ [5.5, 3.5, 0, 1], [0, 0, 0, 1])
    np.testing.assert_allclose(affine[:3, :3], np.diag([-25.0, -20.0, 7.0]))


@pytest.mark.parametrize("new", [(16, 24), (4, 6), (9, 7)])
def test_a_resampled_affine_keeps_the_corners_of_the_field_of_view(new):
    resampled = resample_affine(AFFINE, (8, 12), new)
    for corner_y, corner_x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        before = AFFINE @ [12 * corner_x - 0.5, 8 * corner_y - 0.5, 1, 1]
        after = resampled @ [new[1] * corner_x - 0.5, new[0] * corner_y - 0.5, 1, 1]
        np.testing.assert_allclose(after, before)
