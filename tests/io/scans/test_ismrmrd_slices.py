"""Where ISMRMRD slices lie: stacks in any order, gaps, views of several orientations, Siemens' directions, lost frames.

Every slice holds a spot whose place in the patient is known; it must lie there in all that is read and written.
"""

import nibabel
import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from dainr.assess.describe import describe, in_words
from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.export import export, targets
from dainr.io.images.cine import read_cine, write_cine
from dainr.io.scans.formats import WRITERS, read
from dainr.prepare.binning import Binning
from dainr.prepare.resize import resize_matrix
from tests.io import centred_fft as fft
from tests.io import fft_image, header, lines, write_file

NY, NX, PIXEL = 10, 16, 5.0
SPOT = (7, 3)  # y, x: off the centre
LPS = np.diag([-1.0, -1.0, 1.0])


def axes(seed, left_handed=False):
    """Random directions of x, y and slice, as columns, in LPS."""
    directions = Rotation.random(random_state=seed).as_matrix()
    return directions * [1, 1, -1] if left_handed else directions


def spot(value):
    image = np.zeros((2, NY, NX), complex)
    image[:, SPOT[0], SPOT[1]] = [value, 1j * value]
    return image


def slice_lines(number, value, directions, position, **fields):
    """Fully sampled lines of one slice, whose spot has this value."""
    names = ("read_dir", "phase_dir", "slice_dir")
    return lines(
        fft(spot(value)), slice=number, position=position, **dict(zip(names, directions.T, strict=True)), **fields
    )


def written(path, acquisitions, thickness=4.0, vendor=None):
    document = header((NY, NX), fov=(NY * PIXEL, NX * PIXEL), thickness=thickness)
    if vendor is not None:
        told = f"<acquisitionSystemInformation><systemVendor>{vendor}</systemVendor></acquisitionSystemInformation>"
        document = document.replace("<experimentalConditions>", f"{told}<experimentalConditions>")
    return write_file(path, document, acquisitions)


def spot_lps(directions, position, sign=1):
    y, x = SPOT
    return position + sign * directions[:, :2] @ [(x - NX // 2) * PIXEL, (y - NY // 2) * PIXEL]


def assert_spots(scan, truth):
    """Each slice's spot has the value and the place that belong together; `truth`: place in LPS by value."""
    affines = [scan.affine] * scan.n_slices if scan.planes is None else scan.planes
    found = {}
    for index in range(scan.n_slices):
        image = np.abs(fft_image(scan, index)[0])
        y, x = np.unravel_index(image.argmax(), image.shape)
        along = index if scan.planes is None else 0
        found[round(float(image.max()))] = LPS @ (affines[index] @ [x, y, along, 1])[:3]
    assert found.keys() == truth.keys()
    for value, place in truth.items():
        np.testing.assert_allclose(found[value], place, atol=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_slices_are_in_the_order_of_their_positions(tmp_path, seed):
    random = np.random.default_rng(seed)
    n, gap = int(random.integers(2, 9)), float(random.uniform(4, 12))
    directions, start = axes(seed, left_handed=seed % 2 == 1), random.uniform(-50, 50, 3)
    height = random.permutation(n) if seed > 1 else np.r_[0:n:2, 1:n:2]  # interleaved
    places = [start + gap * h * directions[:, 2] for h in height]
    measured = [
        a for number in random.permutation(n) for a in slice_lines(number, number + 1, directions, places[number])
    ]
    scan = read(written(tmp_path / "s.h5", measured))
    assert scan.planes is None
    assert np.linalg.norm(scan.affine[:3, 2]) == pytest.approx(gap, rel=1e-4)
    assert np.sign(np.linalg.det(scan.affine[:3, :3])) == np.sign(np.linalg.det(directions))
    assert_spots(scan, {number + 1: spot_lps(directions, places[number]) for number in range(n)})
    facts = describe(scan)
    assert facts.get("slice_order", list(range(n))) == np.argsort(height).tolist()
    assert facts["slice_spacing_mm"] == [pytest.approx(gap, abs=1e-3)]
    assert len(facts["orientation_per_slice"]) == n
    assert any("sorted by position" in note for note in scan.notes) == bool((np.diff(height) < 0).any())


def test_uneven_gaps_and_overlap_are_said(tmp_path):
    directions = axes(1)
    for heights, thickness, words in (((0, 8, 16, 32), 6.0, "uneven (8, 8, 16 mm)"), ((0, 3, 6), 4.0, "overlap: 3 mm")):
        measured = [a for n, h in enumerate(heights) for a in slice_lines(n, n + 1, directions, h * directions[:, 2])]
        scan = read(written(tmp_path / f"{len(heights)}.h5", measured, thickness))
        assert any(words in note for note in scan.notes)
        assert np.linalg.norm(scan.affine[:3, 2]) == pytest.approx(heights[1])


def test_even_stacks_are_not_talked_about(tmp_path):
    directions = axes(2)
    measured = [a for n in range(3) for a in slice_lines(n, n + 1, directions, 4.0 * n * directions[:, 2])]
    scan = read(written(tmp_path / "e.h5", measured))
    assert not any("slice" in note for note in scan.notes)


def test_places_of_one_slice_number_are_slices(tmp_path):
    directions = axes(3)
    places = [9.0 * h * directions[:, 2] for h in (2, 0, 1)]
    measured = [a for n, place in enumerate(places) for a in slice_lines(0, n + 1, directions, place)]
    scan = read(written(tmp_path / "p.h5", measured))
    assert_spots(scan, {n + 1: spot_lps(directions, place) for n, place in enumerate(places)})
    assert describe(scan)["slices_by_position"]


def test_a_place_that_moves_with_every_readout_is_said(tmp_path):
    measured = slice_lines(0, 1, axes(3), np.zeros(3))
    for n, acquisition in enumerate(measured):
        acquisition.position[:] = [n, 0, 0]
    scan = read(written(tmp_path / "p.h5", measured))
    assert scan.n_slices == 1
    assert any("changes while it is measured" in note for note in scan.notes)


def test_a_position_that_is_no_number_is_none(tmp_path):
    measured = [a for n in range(2) for a in slice_lines(n, n + 1, axes(3), np.array([np.nan, 0, n]))]
    scan = read(written(tmp_path / "n.h5", measured))
    assert scan.affine is None and scan.planes is None
    assert any("no orientation stored" in note for note in scan.notes)


# ---- views


@pytest.fixture
def views(tmp_path):
    """A stack of three, out of order, among a second and a third orientation, and where their spots are."""
    stack, other, third = axes(4), axes(5), axes(6)
    places = {
        1: (stack, 8.0 * stack[:, 2]),
        2: (other, np.array([5.0, 6.0, 7.0])),
        3: (stack, 0.0 * stack[:, 2]),
        4: (third, np.array([-9.0, 0.0, 2.0])),
        5: (stack, 16.0 * stack[:, 2]),
    }
    measured = [a for value, (d, p) in places.items() for a in slice_lines(value, value, d, p)]
    truth = {value: spot_lps(d, p) for value, (d, p) in places.items()}
    return read(written(tmp_path / "v.h5", measured)), truth


def test_slices_of_several_orientations_have_a_place_each(views):
    scan, truth = views
    assert scan.affine is None
    assert_spots(scan, truth)
    facts = describe(scan)
    assert facts["views"] == [[0, 1, 2], [3], [4]]
    assert [one["view"] for one in facts["orientation_per_slice"]] == [0, 0, 0, 1, 2]
    assert facts["oriented"]
    assert "no orientation stored" not in " ".join(in_words(scan)[0])


def test_chosen_slices_keep_their_places(views):
    scan, truth = views
    values = {index: round(float(np.abs(fft_image(scan, index)).max())) for index in range(5)}
    for chosen in ([0, 1, 2], [1], [0, 2], [3], [2, 3], [1, 2, 3, 4]):
        part = scan.select_slices(chosen)
        assert (part.planes is None) == (max(chosen) < 3 or len(chosen) == 1)
        assert_spots(part, {values[index]: truth[values[index]] for index in chosen})


def test_every_format_keeps_the_places_of_views(views, tmp_path):
    scan, truth = views
    for name, write in WRITERS.items():
        write(scan, tmp_path / f"{name}.h5")
        again = read(tmp_path / f"{name}.h5")
        np.testing.assert_allclose(again.planes, scan.planes, atol=1e-3)
        assert_spots(again, truth)
    small = resize_matrix(scan, (2 * NY, 2 * NX))
    centre = np.array([NX // 2, NY // 2, 0, 1.0])
    np.testing.assert_allclose(small.planes @ (centre * [2, 2, 1, 1]), scan.planes @ centre, atol=1e-9)


def cine_of(scan):
    images = np.stack([fft_image(scan, index)[:1] for index in range(scan.n_slices)])
    return Cine(
        images.astype(np.complex64), np.zeros(1), scan.fov_mm, scan.slice_thickness_mm, scan.affine, scan.planes
    )


def test_views_are_exported_as_files_of_their_own(views, tmp_path):
    scan, truth = views
    cine = cine_of(scan)
    write_cine(cine, tmp_path / "c.h5")
    np.testing.assert_array_equal(read_cine(tmp_path / "c.h5")[0].planes, cine.planes)
    out = tmp_path / "out.nii.gz"
    export(cine, out)
    assert not out.exists()
    assert [path.name for path in targets(cine, out)] == [f"out_view{n}.nii.gz" for n in (1, 2, 3)]
    found = {}
    for path in targets(cine, out):
        image = nibabel.loadsave.load(path)
        for index in range(image.shape[2]):
            plane = image.get_fdata()[:, :, index, 0]
            x, y = np.unravel_index(plane.argmax(), plane.shape)
            found[round(plane.max())] = LPS @ (image.affine @ [x, y, index, 1])[:3]
    for value, place in truth.items():
        np.testing.assert_allclose(found[value], place, atol=0.02)
    assert len(targets(cine, tmp_path / "out.npy")) == len(targets(cine, tmp_path / "dicom")) == 1
    assert len(targets(cine, tmp_path / "out.mrd")) == 3


def test_views_are_dicom_series_of_their_own(views, tmp_path):
    scan, truth = views
    export(cine_of(scan), tmp_path / "dicom")
    found, series = {}, {}
    for path in sorted((tmp_path / "dicom").iterdir()):
        image = pydicom.dcmread(path)
        pixels = image.pixel_array * float(image.RescaleSlope)
        y, x = np.unravel_index(pixels.argmax(), pixels.shape)
        across, down = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        place = np.array(image.ImagePositionPatient, float) + PIXEL * (x * across + y * down)
        value = round(pixels.max())
        found[value] = place
        series.setdefault(image.SeriesInstanceUID, set()).add(value)
    for value, place in truth.items():
        np.testing.assert_allclose(found[value], place, atol=0.02)
    assert sorted(map(sorted, series.values())) == [[1, 3, 5], [2], [4]]


# ---- Siemens


@pytest.mark.parametrize(("vendor", "sign"), [("SIEMENS", -1), ("Siemens Healthineers", -1), ("GE", 1), (None, 1)])
def test_directions_of_siemens_mean_the_other_sign_of_the_transform(tmp_path, vendor, sign):
    directions, place = axes(7), np.array([11.0, -4.0, 30.0])
    scan = read(written(tmp_path / "j.h5", slice_lines(0, 1, directions, place), vendor=vendor))
    assert_spots(scan, {1: spot_lps(directions, place, sign)})
    assert describe(scan).get("directions_turned", False) == (sign < 0)
    for name, write in WRITERS.items():  # turned once, and not again
        write(scan, tmp_path / f"{name}.h5")
        np.testing.assert_allclose(read(tmp_path / f"{name}.h5").affine, scan.affine, atol=1e-3)


# ---- frames that a slice lacks


def cut(tmp_path, frames):
    """Slices with so many frames each."""
    directions = axes(8)
    measured = [
        a
        for number, count in enumerate(frames)
        for p in range(count)
        for a in slice_lines(number, number + p + 1, directions, 8.0 * number * directions[:, 2], phase=p)
    ]
    return read(written(tmp_path / "f.h5", measured))


def test_of_slices_with_different_frames_those_in_common_are_used(tmp_path):
    scan = cut(tmp_path, (6, 4, 6))
    assert describe(scan)["slices_with_fewer_frames"] == [1]
    assert any("Slices with fewer frames than others: 1." in line for line in in_words(scan)[0])
    content, plan = (" ".join(part) for part in in_words(scan))
    assert f"6 frames of {NY} lines" in content and "Fit 4 frames" in plan
    binned = Binning().applied(scan)
    assert binned.readouts_per_frame.tolist() == [[NY] * 4] * 3
    assert any("4 of 6 frames are used" in note for note in binned.notes)
    assert Binning(slices=(0, 2)).applied(scan).n_frames == 6
    assert Binning(slices=(1,)).applied(scan).n_frames == 4


def test_a_slice_that_was_aborted_early_is_refused_with_a_way_on(tmp_path):
    scan = cut(tmp_path, (6, 1, 6))
    with pytest.raises(BadScan) as error:
        Binning().applied(scan)
    for word in ("--slices among 0, 2", "--spokes-per-frame", "slice 1 has 1"):
        assert word in str(error.value)
    assert Binning(spokes_per_frame=5).applied(scan).n_frames == 2


def test_frames_that_no_chosen_slice_has_leave_no_gap(tmp_path):
    directions = axes(8)
    measured = [
        a
        for number, frames in enumerate(((0, 1, 2, 3), (0, 2, 3)))
        for p in frames
        for a in slice_lines(number, 1, directions, 8.0 * number * directions[:, 2], phase=p)
    ]
    scan = read(written(tmp_path / "g.h5", measured))
    assert scan.select_slices([1]).readouts_per_frame.tolist() == [[NY] * 3]
