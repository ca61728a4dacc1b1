"""Sampling masks of MATLAB and numpy files."""

from pathlib import Path

import numpy as np
import pytest

from dainr.errors import BadScan
from dainr.io import load_mask
from dainr.io.scans.mask import read_mask
from tests.io.scans.test_matlab import write

NX, NY, FRAMES = 12, 10, 4
MASK = np.random.default_rng(0).random((NX, NY, FRAMES)) < 0.4


@pytest.mark.parametrize("version", ["7.3", "hdf5", "5"])
@pytest.mark.parametrize("kind", [np.float64, np.uint8, np.int16])
def test_a_mask_of_each_frame_in_a_matlab_file(version: str, kind: type, tmp_path: Path) -> None:
    path = write(tmp_path / "cine_sax_mask_ktGaussian8.mat", version, mask=MASK.astype(kind))
    np.testing.assert_array_equal(read_mask(path), MASK)


def test_one_mask_for_all_frames(tmp_path: Path) -> None:
    path = write(tmp_path / "cine_sax_mask.mat", "7.3", mask04=MASK[..., 0].astype(float))
    np.testing.assert_array_equal(read_mask(path), MASK[..., :1])


def test_axes_of_one_entry_do_not_count(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.mat", "5", mask=MASK[:, :, None, None].astype(float))
    np.testing.assert_array_equal(read_mask(path), MASK)


def test_a_mask_of_numpy(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", MASK)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.npy"), MASK)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("m.npy", np.full((3, 4), np.nan), "holds NaN"),
        ("m.npy", np.ones(5), r"its mask has shape \(5,\)"),
        ("m.npy", np.ones((2, 3, 4, 5)), "its mask has shape"),
        ("m.npy", np.ones((3, 4, 0)), "its mask has shape"),
        ("m.npy", np.ones(()), "its mask has shape"),
        ("m.npy", np.array(["a"]), "no sampling mask"),
        ("m.npy", np.array([[None]], object), "cannot be read"),
        ("m.npy", np.stack([np.ones((3, 3)), np.zeros((3, 3))], -1), "frame 1 of its mask is empty"),
    ],
)
def test_what_is_no_mask_is_refused(name: str, array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / name, array)
    with pytest.raises(BadScan, match=message):
        read_mask(tmp_path / name)


def test_files_without_a_mask_are_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.mat").write_text("no mask")
    with pytest.raises(BadScan, match="no MATLAB file"):
        read_mask(tmp_path / "notes.mat")
    with pytest.raises(BadScan, match="no such file"):
        read_mask(tmp_path / "missing.mat")
    with pytest.raises(BadScan, match="it holds other, no mask"):
        read_mask(write(tmp_path / "other.mat", "7.3", other=np.ones((3, 4))))


def test_a_mask_is_read_by_a_process_that_may_crash(tmp_path: Path) -> None:
    path = write(tmp_path / "mask.mat", "7.3", mask=MASK.astype(float))
    np.testing.assert_array_equal(load_mask(path), MASK)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadScan, match=r"mask\.mat"):
        load_mask(path)
