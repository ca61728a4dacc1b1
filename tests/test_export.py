from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadRequest, DainrError
from dainr.export import SUFFIXES, check_target, export
from dainr.io.cine import read_cine, read_series
from dainr.scan import Cine


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
    assert [path.name for path in tmp_path.iterdir()] == [f"cine{suffix}"]
    assert (tmp_path / f"cine{suffix}").stat().st_size > 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_midway_leaves_no_file(
    cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    fail_midway(monkeypatch, suffix)
    with pytest.raises((OSError, DainrError), match="No space left"):
        export(cine, tmp_path / f"cine{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_a_failure_midway_leaves_the_older_file(
    cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    out = tmp_path / f"cine{suffix}"
    out.write_bytes(b"older")
    fail_midway(monkeypatch, suffix)
    with pytest.raises((OSError, DainrError), match="No space left"):
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
    with pytest.raises(OSError, match="No space left"):
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
