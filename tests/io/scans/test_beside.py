"""Coil maps and density weights from files of their own: taken in every format, refused where they do not fit."""

from pathlib import Path

import h5py
import jaxtyping
import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.io import ReadOptions
from dainr.io.scans import bart, formats, native
from dainr.scan import Scan
from tests.io import random_complex, small_scan

MAPS = random_complex(2, 3, 8, 12, seed=5)
DENSITY = np.random.default_rng(6).uniform(0, 2, (2, 6, 10)).astype(np.float32)


@pytest.fixture(autouse=True)
def checks_as_users_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong shapes must be refused by the program's own checks; the annotations are only checked in tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def said(path: Path, name: str, file: Path) -> Scan:
    native.write(small_scan(coil_maps=None, density=None), path / "scan.h5")
    return formats.read(path / "scan.h5", ReadOptions.parsed({name: file}))


def as_cfl(path: Path, array: np.ndarray, axes: tuple[int, ...]) -> Path:
    """The array with its axes at those of BART's."""
    sizes = [1] * bart.N_AXES
    for size, axis in zip(array.shape, axes, strict=True):
        sizes[axis] = size
    bart.write_cfl(path, array.transpose(np.argsort(axes)).reshape(sizes))
    return path


def as_hdf5(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def test_coil_maps_of_every_kind_of_file(tmp_path: Path) -> None:
    np.save(tmp_path / "maps.npy", MAPS)
    files = [
        tmp_path / "maps.npy",
        as_cfl(tmp_path / "maps.cfl", MAPS, (bart.SLICE, bart.COIL, 1, 0)),
        as_hdf5(tmp_path / "maps.h5", coil_maps=MAPS, other=DENSITY),
        as_hdf5(tmp_path / "one.h5", whatever=MAPS),
    ]
    for file in files:
        found = said(tmp_path, "coil_maps", file)
        np.testing.assert_array_equal(found.coil_maps, MAPS)
        assert f"coil maps from {file.name}" in found.notes


def test_density_of_every_kind_of_file(tmp_path: Path) -> None:
    np.save(tmp_path / "density.npy", DENSITY)
    np.save(tmp_path / "first.npy", DENSITY[0])
    files = [
        tmp_path / "density.npy",
        as_cfl(tmp_path / "density.cfl", DENSITY.reshape(2, 3, 2, 10), (bart.SLICE, bart.TIME, 2, 1)),
        as_hdf5(tmp_path / "density.h5", density=DENSITY),
    ]
    for file in files:
        np.testing.assert_array_equal(said(tmp_path, "density", file).density, DENSITY)
    for_both = said(tmp_path, "density", tmp_path / "first.npy").density
    np.testing.assert_array_equal(for_both, np.stack([DENSITY[0]] * 2))


@pytest.mark.parametrize(
    ("name", "array", "why"),
    [
        ("coil_maps", MAPS[:, :2], "2 x 2 x 8 x 12, the scan asks for 2 x 3 x 8 x 12"),
        ("coil_maps", MAPS.swapaxes(2, 3), "2 x 3 x 12 x 8, the scan asks for"),
        ("coil_maps", 0 * MAPS, "zero everywhere"),
        ("coil_maps", np.full_like(MAPS, np.nan), "NaN"),
        ("density", DENSITY.astype(np.float64) * 1e300, "too large"),
        ("coil_maps", np.array(["words"]), "no array of numbers"),
        ("density", DENSITY[:, :5], "2 x 5 x 10, the scan asks for 2 x 6 x 10"),
        ("density", -DENSITY, "negative"),
        ("density", DENSITY + 1j, "complex"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, name: str, array: np.ndarray, why: str) -> None:
    np.save(tmp_path / "array.npy", array)
    with pytest.raises(BadRequest, match=why) as caught:
        said(tmp_path, name, tmp_path / "array.npy")
    assert str(caught.value).startswith(f"--{name.replace('_', '-')} {tmp_path / 'array.npy'}: ")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"words"])
@pytest.mark.parametrize("suffix", [".npy", ".h5", ".cfl"])
def test_damaged_files_are_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    file = tmp_path / f"maps{suffix}"
    file.write_bytes(content)
    with pytest.raises(BadRequest, match="--coil-maps"):
        said(tmp_path, "coil_maps", file)


def test_a_missing_file_and_one_of_several_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no such file"):
        said(tmp_path, "density", tmp_path / "none.npy")
    with pytest.raises(BadRequest, match="it holds a, b; call the dataset density"):
        said(tmp_path, "density", as_hdf5(tmp_path / "two.h5", a=DENSITY, b=DENSITY))
