import shutil
import subprocess
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from dainr.cine import Cine
from dainr.errors import BadRequest, BadScan, NoRoom
from dainr.export import SUFFIXES, check_target, export
from dainr.io import load
from dainr.io.images.cine import read_cine
from dainr.io.images.series import read_series


@pytest.fixture
def cine() -> Cine:
    """Two slices, three frames, taller than wide."""
    random = np.random.default_rng(0)
    data = random.standard_normal((2, 3, 12, 8)) + 1j * random.standard_normal((2, 3, 12, 8))
    return Cine(data.astype(np.complex64), np.array([0.0, 0.1, 0.2]), (240.0, 160.0), 6.0)


# What each format writes with; the failure leaves half a file at the path it was given.
WRITES_WITH = {
    ".npy": "numpy.save",
    ".h5": "h5py.Group.create_dataset",
    ".nii": "nibabel.loadsave.save",
    ".nii.gz": "nibabel.loadsave.save",
    ".mp4": "imageio.v2.mimwrite",
    ".gif": "imageio.v2.mimwrite",
    ".png": "imageio.v2.imwrite",
    ".cfl": "pathlib.Path.write_text",
    ".mrd": "ismrmrd.Dataset.append_image",
    "dicom": "pydicom.dataset.FileDataset.save_as",
}
FILE_SUFFIXES = [suffix for suffix in SUFFIXES if suffix.startswith(".")]


def fail_midway(monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    def fail(*arguments: object, **_: object) -> None:
        for path in arguments:
            if isinstance(path, str | Path) and Path(path).is_file():
                Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WRITES_WITH[suffix], fail)


def test_every_format_is_tried_here() -> None:
    assert set(WRITES_WITH) == set(SUFFIXES)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_appears_and_nothing_beside_it(cine: Cine, tmp_path: Path, suffix: str) -> None:
    export(cine, tmp_path / f"cine{suffix}")
    beside = ["cine.hdr"] if suffix == ".cfl" else []
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"cine{suffix}", *beside]
    assert (tmp_path / f"cine{suffix}").stat().st_size > 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_midway_leaves_no_file(
    cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    fail_midway(monkeypatch, suffix)
    with pytest.raises(NoRoom, match="the disk is full"):
        export(cine, tmp_path / f"cine{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_a_failure_midway_leaves_the_older_file(
    cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    out = tmp_path / f"cine{suffix}"
    out.write_bytes(b"older")
    fail_midway(monkeypatch, suffix)
    with pytest.raises(NoRoom, match="the disk is full"):
        export(cine, out)
    assert out.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [out]


def test_a_failure_midway_leaves_the_older_dicom_folder(
    cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "dicom"
    export(cine, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    fail_midway(monkeypatch, "dicom")
    with pytest.raises(NoRoom, match="the disk is full"):
        export(cine, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert list(tmp_path.iterdir()) == [out]


def test_a_dicom_folder_is_replaced_only_when_asked_and_if_it_holds_nothing_else(cine: Cine, tmp_path: Path) -> None:
    out = tmp_path / "dicom"
    export(cine, out)
    with pytest.raises(BadRequest, match="it exists already"):
        check_target(out, force=False)
    check_target(out, force=True)
    export(Cine(cine.data[:1], cine.times, cine.fov_mm, cine.slice_thickness_mm), out)
    assert len(list(out.iterdir())) == 3
    (out / "notes.txt").write_text("mine")
    with pytest.raises(BadRequest, match=r"it holds more than \.dcm files"):
        check_target(out, force=True)
    (tmp_path / "adicom").write_text("a file")
    with pytest.raises(BadRequest, match="it is a file"):
        check_target(tmp_path / "adicom", force=True)


@pytest.mark.parametrize("magnitude", [False, True])
def test_h5_reads_back_as_it_was(cine: Cine, tmp_path: Path, magnitude: bool) -> None:
    export(cine, tmp_path / "cine.h5", magnitude)
    back, _ = read_cine(tmp_path / "cine.h5")
    expected = np.abs(cine.data) if magnitude else cine.data
    np.testing.assert_array_equal(back.data, expected)
    np.testing.assert_array_equal(back.times, cine.times)
    assert (back.fov_mm, back.slice_thickness_mm) == (cine.fov_mm, cine.slice_thickness_mm)


@pytest.mark.parametrize("suffix", [".npy", ".nii", ".nii.gz", ".h5"])
def test_series_read_back_in_the_order_slice_frame_y_x(cine: Cine, tmp_path: Path, suffix: str) -> None:
    export(cine, tmp_path / f"cine{suffix}", magnitude=True)
    np.testing.assert_allclose(np.abs(read_series(tmp_path / f"cine{suffix}")), np.abs(cine.data), rtol=1e-6)


def test_bart_has_its_images_on_its_own_axes(cine: Cine, tmp_path: Path) -> None:
    export(cine, tmp_path / "cine.cfl")
    sizes = (tmp_path / "cine.hdr").read_text().splitlines()[1].split()
    assert sizes == ["8", "12", *["1"] * 8, "3", "1", "1", "2", "1", "1"]
    stored = np.fromfile(tmp_path / "cine.cfl", np.complex64).reshape(list(map(int, sizes)), order="F")
    np.testing.assert_array_equal(np.squeeze(stored), cine.data.transpose(3, 2, 1, 0))


@pytest.mark.skipif(shutil.which("bart") is None, reason="BART is not installed")
def test_bart_itself_reads_its_images(cine: Cine, tmp_path: Path) -> None:
    export(cine, tmp_path / "cine.cfl")
    subprocess.run(["bart", "slice", "10", "1", "13", "1", "cine", "one"], cwd=tmp_path, check=True)
    one = np.fromfile(tmp_path / "one.cfl", np.complex64).reshape(cine.data.shape[2:])
    np.testing.assert_array_equal(one, cine.data[1, 1])


def test_ismrmrd_images_lie_where_the_nifti_lies(tmp_path: Path) -> None:
    angle = 0.4
    affine = np.eye(4)
    affine[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    affine[:3, :3] = affine[:3, [2, 0, 1]] * [20, 20, 6]
    affine[:3, 3] = 5, -7, 9
    data = np.arange(2 * 3 * 12 * 8).reshape(2, 3, 12, 8).astype(np.complex64)
    export(Cine(data, np.array([0.0, 0.1, 0.2]), (240.0, 160.0), 6.0, affine), tmp_path / "cine.mrd")
    dataset = ismrmrd.Dataset(str(tmp_path / "cine.mrd"), "dataset", create_if_needed=False)
    images = [dataset.read_image("image_0", number) for number in range(dataset.number_of_images("image_0"))]
    dataset.close()
    assert [(image.slice, image.phase) for image in images] == [(s, f) for s in range(2) for f in range(3)]
    for image in images:
        np.testing.assert_array_equal(np.squeeze(image.data), data[image.slice, image.phase])
        assert image.physiology_time_stamp[0] == 100 * image.phase
        centre = (affine @ [4, 6, image.slice, 1])[:3] * [-1, -1, 1]
        np.testing.assert_allclose(image.position, centre, rtol=1e-5)
        step = np.array(image.read_dir) * image.field_of_view[0] / 8
        np.testing.assert_allclose(step * [-1, -1, 1], affine[:3, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("suffix", [".cfl", ".mrd", ".h5"])
def test_an_export_may_be_replaced_and_is_no_scan(cine: Cine, tmp_path: Path, suffix: str) -> None:
    export(cine, tmp_path / f"cine{suffix}")
    check_target(tmp_path / f"cine{suffix}", force=True)
    with pytest.raises(BadScan, match="no format"):
        load(tmp_path / f"cine{suffix}")


def test_target_must_be_a_new_file_of_a_known_kind(tmp_path: Path) -> None:
    (tmp_path / "old.npy").touch()
    (tmp_path / "folder.npy").mkdir()
    for name in ("cine.tif", "old.npy", "folder.npy", "nowhere/cine.npy"):
        with pytest.raises(BadRequest):
            check_target(tmp_path / name, force=False)
    with pytest.raises(BadRequest):
        check_target(tmp_path / "folder.npy", force=True)
    check_target(tmp_path / "old.npy", force=True)
    check_target(tmp_path / "new.nii.gz", force=False)
