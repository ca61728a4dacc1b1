"""What is said of a scan file beside it: parsed, carried to the reader, applied, and gone from what is assumed."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import dainr
from dainr.errors import BadRequest
from dainr.io import ReadOptions, load, scan_sha256
from dainr.io.scans import formats, native
from dainr.io.scans.options import NAMES, OF_ANY_SCAN
from dainr.scan import Scan
from tests.io import AFFINE, small_scan

GIVEN = {"pixel_mm": "1.5x1.2", "slice_mm": 6.0, "frame_ms": 40.0, "affine": "/somewhere/affine.txt"}
ASSUMED = ("pixel_mm", "slice_mm", "frame_ms")


def said(path: Path, scan: Scan, **options: object) -> Scan:
    native.write(scan, path / "scan.h5")
    return formats.read(path / "scan.h5", ReadOptions.parsed(options))


def test_what_was_said_is_stored_and_read_back() -> None:
    options = ReadOptions.parsed(GIVEN)
    assert options.pixel_mm == (1.5, 1.2)
    assert options.as_dict() == GIVEN
    assert ReadOptions.parsed(options.as_dict()) == options
    assert options.files == [Path("/somewhere/affine.txt")]
    assert ReadOptions.parsed({"pixel_mm": 2}).as_dict() == {"pixel_mm": "2"}
    assert ReadOptions.parsed({"pixel_mm": (1.5, 1.2)}).pixel_mm == (1.5, 1.2)
    assert ReadOptions().as_dict() == {}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"pixel_mm": "big"}, "--pixel-mm big"),
        ({"pixel_mm": "1x2x3"}, "--pixel-mm 1x2x3"),
        ({"pixel_mm": -1}, "--pixel-mm -1"),
        ({"slice_mm": 0.0}, "--slice-mm 0.0"),
        ({"frame_ms": float("nan")}, "--frame-ms nan"),
        ({"frame_ms": 40, "readout_ms": 3}, "--frame-ms and --readout-ms"),
        ({"colour": 1}, "colour"),
    ],
)
def test_what_cannot_be_said_is_refused(given: dict[str, object], named: str) -> None:
    with pytest.raises(BadRequest) as caught:
        ReadOptions.parsed(given)
    assert caught.value.what == named


def test_lengths_and_times_that_were_assumed_are_then_known(tmp_path: Path) -> None:
    scan = small_scan(affine=None, assumed=ASSUMED)
    plain = said(tmp_path, scan)
    assert plain.assumed == ASSUMED
    assert "the size of pixels, the slice thickness and the times of frames: say --pixel-mm" in plain.notes[-1]
    found = said(tmp_path, scan, pixel_mm="1.5x1.2", slice_mm=6, frame_ms=40)
    assert found.assumed == ()
    assert_allclose(found.fov_mm, (8 * 1.5, 12 * 1.2))
    assert found.slice_thickness_mm == 6
    assert scan.frame is not None
    assert_allclose(found.times, scan.frame * 0.04)
    assert not any("does not hold" in note for note in found.notes)


def test_pixels_of_a_scan_with_a_place_stay_about_its_centre(tmp_path: Path) -> None:
    scan = small_scan()
    found = said(tmp_path, scan, pixel_mm="10x5")
    centre = np.array([6, 4, 1, 1])
    assert found.affine is not None
    assert_allclose(found.affine @ centre, AFFINE @ centre)
    before = np.linalg.norm(AFFINE[:3, :2], axis=0)
    factor = np.array([5 / (240 / 12), 10 / (160 / 8)])
    assert_allclose(np.linalg.norm(found.affine[:3, :2], axis=0), before * factor)


def test_views_of_other_orientations_are_stretched_each_and_no_affine_is_theirs(tmp_path: Path) -> None:
    turned = AFFINE[:, [0, 2, 1, 3]] * [1, 1, 2, 1]
    scan = small_scan(affine=None, planes=np.stack([AFFINE, turned]))
    found = said(tmp_path, scan, pixel_mm="10x5")
    centre = np.array([6, 4, 0, 1])
    assert found.planes is not None
    for new, old in zip(found.planes, (AFFINE, turned), strict=True):
        assert_allclose(new @ centre, old @ centre)
        assert_allclose(np.linalg.norm(new[:3, 0]), 5 / 20 * np.linalg.norm(old[:3, 0]))
    np.savetxt(tmp_path / "affine.txt", AFFINE)
    with pytest.raises(BadRequest, match="several orientations"):
        said(tmp_path, scan, affine=tmp_path / "affine.txt")


def test_readouts_in_no_frame_have_times_of_their_own(tmp_path: Path) -> None:
    scan = small_scan(frame=None, phase=None, assumed=("readout_ms",))
    found = said(tmp_path, scan, readout_ms=3)
    assert_allclose(found.times, np.broadcast_to(np.arange(6) * 0.003, (2, 6)))
    assert found.assumed == ()
    with pytest.raises(BadRequest, match="--readout-ms"):
        said(tmp_path, scan, frame_ms=40)


@pytest.mark.parametrize("suffix", [".txt", ".npy"])
def test_an_affine_brings_place_and_lengths(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"affine{suffix}"
    if suffix == ".npy":
        np.save(path, AFFINE)
    else:
        np.savetxt(path, AFFINE)
    found = said(tmp_path, small_scan(affine=None, assumed=ASSUMED), affine=path)
    assert_allclose(found.affine, AFFINE)
    x, y, z = np.linalg.norm(AFFINE[:3, :3], axis=0)
    assert_allclose(found.fov_mm, (8 * y, 12 * x))
    assert_allclose(found.slice_thickness_mm, z)
    assert found.assumed == ("frame_ms",)
    with pytest.raises(BadRequest, match="those of the scan are 20 x 20 mm"):
        said(tmp_path, small_scan(), affine=path)


@pytest.mark.parametrize(
    ("content", "why"),
    [("1 2 3\n4 5 6\n", "no 4 x 4"), ("words", "cannot be read"), ("1 0 0 0\n" * 4, "no volume"), ("", "no 4 x 4")],
)
@pytest.mark.filterwarnings("ignore:loadtxt")
def test_a_file_without_an_affine_is_refused(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "a.txt").write_text(content)
    with pytest.raises(BadRequest, match=why):
        said(tmp_path, small_scan(), affine=tmp_path / "a.txt")


def test_a_missing_file_of_the_affine_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"none\.txt"):
        said(tmp_path, small_scan(), affine=tmp_path / "none.txt")


def test_what_a_format_does_not_take_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dainr.io.scans.options.OF_ANY_SCAN", OF_ANY_SCAN - {"slice_mm"})
    with pytest.raises(BadRequest, match=r"--slice-mm: .*scan.h5 is a native dainr-scan HDF5 file"):
        said(tmp_path, small_scan(), slice_mm=6)


def test_every_reader_says_what_it_takes() -> None:
    for reader in formats.READERS:
        assert frozenset(NAMES) - OF_ANY_SCAN >= reader.TAKES


def test_programs_name_them_as_arguments(tmp_path: Path) -> None:
    native.write(small_scan(frame=None, phase=None), tmp_path / "scan.h5")
    assert dainr.load(tmp_path / "scan.h5", pixel_mm=1.5).fov_mm == (12, 18)
    with pytest.raises(BadRequest, match=r"^frame_ms: .* say readout_ms instead, that time over its readouts"):
        dainr.load(tmp_path / "scan.h5", frame_ms=40)
    with pytest.raises(BadRequest, match=r"^colour:"):
        dainr.load(tmp_path / "scan.h5", colour=1)


def test_files_that_options_name_belong_to_what_a_scan_is_read_from(tmp_path: Path) -> None:
    native.write(small_scan(), tmp_path / "scan.h5")
    np.savetxt(tmp_path / "affine.txt", AFFINE)
    options = ReadOptions.parsed({"affine": tmp_path / "affine.txt"})
    plain, first = scan_sha256(tmp_path / "scan.h5"), scan_sha256(tmp_path / "scan.h5", options)
    np.savetxt(tmp_path / "affine.txt", 2 * AFFINE)
    assert len({plain, first, scan_sha256(tmp_path / "scan.h5", options)}) == 3


def test_what_is_assumed_survives_every_format_that_scans_are_written_in(tmp_path: Path) -> None:
    for kind, write in formats.WRITERS.items():
        write(small_scan(assumed=ASSUMED), tmp_path / f"{kind}.h5")
        assert load(tmp_path / f"{kind}.h5").assumed == ASSUMED


def test_density_survives_every_format_that_scans_are_written_in(tmp_path: Path) -> None:
    density = np.linspace(0.1, 2, 120, dtype=np.float32).reshape(2, 6, 10)
    for kind, write in formats.WRITERS.items():
        write(small_scan(density=density), tmp_path / f"{kind}.h5")
        np.testing.assert_array_equal(load(tmp_path / f"{kind}.h5").density, density)
