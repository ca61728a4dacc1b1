"""Reconstructed series in dainr's own files: HDF5, schema `dainr-cine`, version 1."""

from pathlib import Path

import numpy as np

from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.hdf5 import is_hdf5, new_hdf5, open_hdf5, read_array, write_whole
from dainr.machine import disk

SCHEMA, VERSION = "dainr-cine", 1


def write_cine(cine: Cine, path: Path, **extra: np.ndarray) -> None:
    """Write a cine, and arrays that go with it, as HDF5; the file appears only once it is complete."""
    times = np.asarray(cine.times, np.float64)
    arrays = {"cine": cine.data, "times": times, **extra}
    size = sum(array.nbytes for array in arrays.values())
    with write_whole(path, size) as temporary, new_hdf5(temporary) as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, array.shape, array.dtype)
            for index, part in enumerate(array):  # slice by slice, for they may lie on disk
                dataset[index] = part
                disk.release(part)
        file.attrs["schema"], file.attrs["version"] = SCHEMA, VERSION
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


def read_cine(path: Path) -> tuple[Cine, dict[str, np.ndarray]]:
    """The cine in a file that `write_cine` wrote, and the arrays that go with it.

    Raises BadScan when the file is not one.
    """
    where = str(path)
    if not path.is_file() or not is_hdf5(path):
        raise BadScan(where, "there is no cine file here", "name a finished run, or export it again")
    with open_hdf5(path) as file:
        if file.attrs.get("schema") != SCHEMA or "cine" not in file or "times" not in file:
            raise BadScan(where, f"it is no {SCHEMA} file", "name one that dainr wrote")
        arrays = {name: read_array(file, name, where) for name in file}
        fov, thickness = file.attrs["fov_mm"], float(file.attrs["slice_thickness_mm"])
        affine, planes = file.attrs.get("affine"), file.attrs.get("planes")
        assumed = tuple(str(file.attrs.get("assumed", "")).split())
        cyclic = None if file.attrs.get("cyclic") is None else bool(file.attrs["cyclic"])
    data, times = arrays.pop("cine"), arrays.pop("times")
    if data is None or times is None or data.ndim != 4 or times.shape != data.shape[1:2]:
        raise BadScan(
            where, "the shape of its cine is not slice, frame, y, x with a time for each frame", "export it again"
        )
    fov_mm = float(fov[0]), float(fov[1])
    cine = Cine(data.astype(np.complex64), times, fov_mm, thickness, affine, planes, assumed, cyclic)
    return cine, {name: array for name, array in arrays.items() if array is not None}
