"""Native files: what is written is read, and what is wrong is refused with its name."""

import random

import h5py
import jaxtyping
import numpy as np
import pytest

from dainr.errors import BadRequest, BadScan, DainrError
from dainr.io.hdf5 import open_hdf5
from dainr.io.scans import native
from dainr.io.scans.formats import read
from tests.io import random_complex, small_scan

PARTS = ("kspace", "trajectory", "times", "frame", "phase", "coil_maps", "noise", "reference", "affine")


@pytest.fixture(autouse=True)
def checks_as_users_have_them(monkeypatch):
    """Wrong shapes must be refused by the program's own checks; the annotations are only checked in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def edited(path, edit):
    """A valid file after an edit of its content."""
    native.write(small_scan(), path)
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def put(name, value):
    """An edit that replaces a dataset."""

    def edit(file):
        if name in file:
            del file[name]
        file[name] = value

    return edit


def attribute(name, value=None):
    """An edit that replaces an attribute, or without a value removes it."""

    def edit(file):
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return edit


def timed_by_clock(file):
    """Store times in a type of HDF5 that numpy has no name for."""
    del file["times"]
    h5py.h5d.create(file.id, b"times", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((6,)))


def grouped(file):
    """A group where an array belongs."""
    del file["kspace"]
    file.create_group("kspace")


def test_what_is_written_is_read_back_equal(tmp_path):
    scan = small_scan()
    native.write(scan, tmp_path / "a.h5")
    back = read(tmp_path / "a.h5")
    for name in PARTS:
        np.testing.assert_array_equal(getattr(back, name), getattr(scan, name), err_msg=name)
        assert getattr(back, name).dtype == getattr(scan, name).dtype, name
    assert (back.matrix, back.fov_mm, back.slice_thickness_mm) == (scan.matrix, scan.fov_mm, scan.slice_thickness_mm)
    assert back.name == str(tmp_path / "a.h5")


def test_optional_parts_stay_absent(tmp_path):
    optional = dict.fromkeys(("affine", "frame", "phase", "coil_maps", "noise", "reference"))
    native.write(small_scan(**optional), tmp_path / "a.h5")
    back = read(tmp_path / "a.h5")
    assert all(getattr(back, name) is None for name in optional)


def test_density_is_kept_for_each_slice_or_for_all(tmp_path):
    density = np.linspace(0, 2, 120, dtype=np.float32).reshape(2, 6, 10)
    native.write(small_scan(density=density), tmp_path / "a.h5")
    np.testing.assert_array_equal(native.read(tmp_path / "a.h5").density, density)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["density"]
        file["density"] = density[1]
    np.testing.assert_array_equal(native.read(tmp_path / "a.h5").density[0], density[1])


@pytest.mark.parametrize("cyclic", [True, False, None])
def test_whether_the_frames_are_a_cycle_is_kept(tmp_path, cyclic):
    native.write(small_scan(cyclic=cyclic), tmp_path / "scan.h5")
    assert native.read(tmp_path / "scan.h5").cyclic is cyclic


def test_cyclic_is_true_or_false(tmp_path):
    native.write(small_scan(cyclic=True), tmp_path / "scan.h5")
    with h5py.File(tmp_path / "scan.h5", "r+") as file:
        file.attrs["cyclic"] = 7
    with pytest.raises(BadScan, match="cyclic"):
        native.read(tmp_path / "scan.h5")


def test_a_trajectory_and_times_without_a_slice_axis_hold_for_every_slice(tmp_path):
    trajectory, times = small_scan().trajectory[1], np.arange(6.0)

    def edit(file):
        put("trajectory", trajectory)(file)
        put("times", times)(file)

    scan = read(edited(tmp_path / "a.h5", edit))
    for index in range(2):
        np.testing.assert_array_equal(scan.trajectory[index], trajectory)
        np.testing.assert_array_equal(scan.times[index], times)


def test_the_layout_on_disk_is_the_documented_one(tmp_path):
    native.write(small_scan(), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert (file["kspace"].dtype, file["kspace"].shape) == (np.complex64, (2, 3, 6, 10))
        assert (file["trajectory"].dtype, file["times"].dtype, file["frame"].dtype) == ("f4", "f8", "i4")
        assert (file.attrs["schema"], file.attrs["version"]) == ("dainr-scan", 1)
        assert file.attrs["matrix"].tolist() == [8, 12]
        assert file.attrs["fov_mm"].tolist() == [160, 240]


BAD = {
    "no k-space": (lambda file: file.__delitem__("kspace"), "kspace is missing"),
    "no trajectory": (lambda file: file.__delitem__("trajectory"), "trajectory is missing"),
    "no times": (lambda file: file.__delitem__("times"), "times is missing"),
    "k-space of two axes": (put("kspace", random_complex(3, 6)), "kspace has shape (3, 6)"),
    "k-space that is real": (put("kspace", np.ones((2, 3, 6, 10))), "not complex"),
    "k-space of text": (put("kspace", "no numbers"), "not an array of numbers"),
    "k-space as a group": (grouped, "not an array of numbers"),
    "a type numpy lacks": (timed_by_clock, ""),
    "complex trajectory": (put("trajectory", random_complex(6, 10, 2)), "trajectory is complex"),
    "trajectory of three axes": (put("trajectory", np.zeros((6, 10, 3))), "trajectory has shape"),
    "trajectory in other units": (put("trajectory", np.full((6, 10, 2), 4.0)), "divide it by the matrix"),
    "times of a single number": (put("times", 1.0), "times has shape"),
    "nan in times": (put("times", np.full((2, 6), np.nan)), "times holds NaN"),
    "frames of fractions": (put("frame", np.full(6, 0.5)), "frame holds fractions"),
    "frames without end": (put("frame", np.array([0, 0, 1, 1, 2, np.inf])), "frame"),
    "frames beyond 32 bits": (put("frame", np.array([0, 0, 1, 1, 2, 2**32 + 2])), "frame"),
    "empty frames": (put("frame", np.array([0, 0, 0, 0, 3, 3])), "has no readout"),
    "maps of another matrix": (put("coil_maps", random_complex(2, 3, 12, 8)), "coil_maps has shape"),
    "noise of other coils": (put("noise", random_complex(4, 9)), "noise has shape"),
    "no schema": (attribute("schema"), "schema"),
    "another schema": (attribute("schema", "other"), "schema is 'other'"),
    "no version": (attribute("version"), "version None"),
    "a later version": (attribute("version", 2), "version 2"),
    "a version in words": (attribute("version", "one"), "version one"),
    "no matrix": (attribute("matrix"), "matrix is missing"),
    "a matrix of three": (attribute("matrix", [8, 12, 1]), "not a pair"),
    "a matrix in words": (attribute("matrix", "8x12"), "finite numbers"),
    "a field of view of nan": (attribute("fov_mm", [np.nan, 1.0]), "finite numbers"),
    "no thickness": (attribute("slice_thickness_mm"), "slice_thickness_mm is missing"),
    "an affine of three rows": (attribute("affine", np.eye(3)), "affine has shape"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, kind):
    edit, words = BAD[kind]
    path = edited(tmp_path / "bad.h5", edit)
    with pytest.raises(BadScan) as error:
        read(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)
    assert error.value.fix


@pytest.mark.parametrize("content", [b"", b"plain text", b"\x89HDF\r\n\x1a\n"])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "scan.h5"
    path.write_bytes(content)
    with pytest.raises(BadScan, match=r"truncated or damaged|no format"):
        read(path)


def test_a_truncated_file_says_so(radial_file):
    radial_file.write_bytes(radial_file.read_bytes()[: radial_file.stat().st_size // 2])
    with pytest.raises(BadScan, match="truncated or damaged"):
        read(radial_file)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(BadScan, match="no such file"):
        read(tmp_path / "absent.h5")
    with pytest.raises(BadScan, match="is a folder"):
        read(tmp_path)


def test_hdf5_of_unknown_content_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = np.ones(3)
    with pytest.raises(BadScan, match="native dainr-scan HDF5 file or an ISMRMRD file"):
        read(tmp_path / "other.h5")


def test_writing_into_no_folder_is_refused_and_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(BadRequest, match="no folder"):
        native.write(small_scan(), tmp_path / "absent" / "a.h5")
    monkeypatch.setattr(native, "REQUIRED", ("kspace", "absent"))
    with pytest.raises(AttributeError):
        native.write(small_scan(), tmp_path / "a.h5")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path):
    """Bytes of the arrays change at random, the file ends anywhere, parts take other types and shapes."""
    path = edited(tmp_path / "x.h5", lambda file: None)
    whole, chance = path.read_bytes(), random.Random(0)
    with h5py.File(path) as file:
        extents = [(part.id.get_offset(), part.nbytes) for part in file.values()]
        names = list(file)
    for attempt in range(300):
        damaged = bytearray(whole)
        if attempt % 3 == 0:
            damaged = damaged[: chance.randrange(len(damaged))]
        elif attempt % 3 == 1:
            for _ in range(chance.choice((1, 8))):
                start, size = chance.choice(extents)
                damaged[start + chance.randrange(size)] = chance.randrange(256)
        path.write_bytes(damaged)
        if attempt % 3 == 2:
            shape = tuple(chance.randrange(4) for _ in range(chance.randrange(5)))
            value = np.zeros(shape, chance.choice(["c8", "f4", "i8", "?", "S3", "u1"]))
            with h5py.File(path, "r+") as file:
                if chance.random() < 0.7:
                    put(chance.choice(names), value)(file)
                else:
                    attribute(chance.choice(list(file.attrs)), value)(file)
        try:
            read(path)
        except DainrError as error:
            assert str(path) in str(error)


DAMAGE = (
    OSError("a"),
    RuntimeError("a"),
    KeyError("a"),
    TypeError("a"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a"),
)


@pytest.mark.parametrize("error", DAMAGE, ids=lambda error: type(error).__name__)
def test_whatever_its_library_raises_while_a_file_is_read_is_a_damaged_file(error, tmp_path):
    native.write(small_scan(), tmp_path / "scan.h5")
    with pytest.raises(BadScan, match="truncated or damaged"), open_hdf5(tmp_path / "scan.h5"):
        raise error
