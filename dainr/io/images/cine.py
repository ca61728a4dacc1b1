"""Reconstructed series in dainr's own files: HDF5, schema `dainr-cine`, version 1."""

from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.hdf5 import is_hdf5, new_hdf5, open_hdf5, read_array, write_whole
from dainr.machine import disk

SCHEMA, VERSION = "dainr-cine", 1
CHECKSUM = "crc32"  # the attribute of an array that has that of its bytes
SIZES = {"fov_mm": (2,), "slice_thickness_mm": ()}  # attributes of every file, and their shapes


def write_cine(cine: Cine, path: Path, run: str = "", **extra: np.ndarray) -> None:
    """Write a cine, and arrays that go with it, as HDF5; the file appears only once it is complete.

    `run`: the id of the run that it is a file of.
    """
    times = np.asarray(cine.times, np.float64)
    arrays = {"cine": cine.data, "times": times, **extra}
    size = sum(array.nbytes for array in arrays.values())
    with write_whole(path, size) as temporary, new_hdf5(temporary) as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, array.shape, array.dtype)
            written = 0
            for index, part in enumerate(array):  # slice by slice, for they may lie on disk
                dataset[index] = part
                written = checksum(part, written)
                disk.release(part)
            dataset.attrs[CHECKSUM] = written
        file.attrs["schema"], file.attrs["version"] = SCHEMA, VERSION
        if run:
            file.attrs["run"] = run
        file.attrs["fov_mm"], file.attrs["slice_thickness_mm"] = cine.fov_mm, cine.slice_thickness_mm
        if cine.affine is not None:
            file.attrs["affine"] = cine.affine
        if cine.planes is not None:
            file.attrs["planes"] = cine.planes
        if cine.assumed:
            file.attrs["assumed"] = " ".join(cine.assumed)
        if cine.cyclic is not None:
            file.attrs["cyclic"] = cine.cyclic


def is_cine(path: Path) -> bool:
    """Whether `write_cine` wrote this file. Raises BadScan when it is HDF5 and damaged."""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return file.attrs.get("schema") == SCHEMA


def run_of_cine(path: Path) -> str:
    """The id of the run that a cine is a file of, or nothing. Raises BadScan when it is damaged."""
    with open_hdf5(path) as file:
        return str(file.attrs.get("run", ""))


def read_cine(path: Path) -> tuple[Cine, dict[str, np.ndarray]]:
    """The cine in a file that `write_cine` wrote, and the arrays that go with it.

    Raises BadScan when the file is not one, or not whole.
    """
    where = str(path)
    if not path.is_file() or not is_hdf5(path):
        raise BadScan(where, "there is no cine file here", "name a finished run, or export it again")
    with open_hdf5(path) as file:
        if file.attrs.get("schema") != SCHEMA or "cine" not in file or "times" not in file:
            raise BadScan(where, f"it is no {SCHEMA} file", "name one that dainr wrote")
        arrays = {name: read_array(file, name, where) for name in file}
        checksums = {name: file[name].attrs.get(CHECKSUM) for name in file}
        attributes = dict(file.attrs)
    for name, written in checksums.items():
        if written is not None and not np.array_equal(written, checksum(arrays[name])):
            raise BadScan(where, f"its {name} is not what was written, by its checksum", "export it again")
    data, times = arrays.pop("cine"), arrays.pop("times")
    if data is None or times is None or data.ndim != 4 or not data.size or times.shape != data.shape[1:2]:
        raise BadScan(
            where, "the shape of its cine is not slice, frame, y, x with a time for each frame", "export it again"
        )
    if np.iscomplexobj(times) or not all(map(is_finite, (times, *data))):
        raise BadScan(where, "its images or times are not finite numbers", "export it again")
    cine = Cine(data.astype(np.complex64), times.astype(np.float64), **_geometry(attributes, len(data), where))
    return cine, {name: array for name, array in arrays.items() if array is not None}


def checksum(array: np.ndarray | None, before: int = 0) -> int:
    """That of the bytes of an array, which go on from those of another; part by part, for it may be large."""
    for part in np.atleast_1d(np.asarray(array)):
        before = crc32(np.asarray(part).tobytes(), before)
    return before


def is_finite(array: np.ndarray) -> bool:
    """Whether all numbers of an array are finite."""
    return bool(np.isfinite(array).all())


def _geometry(attributes: dict[str, Any], n_slices: int, where: str) -> dict[str, Any]:
    """What the attributes of a file say of its cine, by the names of Cine. Raises BadScan."""
    fov, thickness = (_numbers(attributes, name, shape, where) for name, shape in SIZES.items())
    affine = _numbers(attributes, "affine", (4, 4), where) if "affine" in attributes else None
    planes = _numbers(attributes, "planes", (n_slices, 4, 4), where) if "planes" in attributes else None
    assumed, cyclic = attributes.get("assumed", ""), attributes.get("cyclic")
    if min(*fov, thickness) <= 0 or not isinstance(assumed, str) or not (cyclic is None or np.ndim(cyclic) == 0):
        raise BadScan(where, "what it says of its cine is damaged", "export it again")
    return {
        "fov_mm": (float(fov[0]), float(fov[1])),
        "slice_thickness_mm": float(thickness),
        "affine": affine,
        "planes": planes,
        "assumed": tuple(assumed.split()),
        "cyclic": None if cyclic is None else bool(cyclic),
    }


def _numbers(attributes: dict[str, Any], name: str, shape: tuple[int, ...], where: str) -> np.ndarray:
    array = np.asarray(attributes.get(name))
    if array.dtype.kind not in "iuf" or array.shape != shape or not is_finite(array):
        raise BadScan(where, f"its {name} is damaged", "export it again")
    return array
