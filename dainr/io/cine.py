"""Reconstructed series in files: dainr's own HDF5 (schema `dainr-cine`, version 1), and series others wrote."""

import tokenize
import zlib
from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np

from dainr.errors import BadScan
from dainr.io.hdf5 import is_hdf5, open_hdf5, read_array, write_whole
from dainr.scan import Cine

SCHEMA, VERSION = "dainr-cine", 1
# What numpy and nibabel raise on damaged files
UNREADABLE = (
    *(OSError, ValueError, EOFError, OverflowError, SyntaxError, tokenize.TokenError, zlib.error),
    *(nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError),
)


def write_cine(cine: Cine, path: Path, **extra: np.ndarray) -> None:
    """Write a cine, and arrays that go with it, as HDF5; the file appears only once it is complete."""
    with write_whole(path) as temporary, h5py.File(temporary, "w") as file:
        file.create_dataset("cine", data=cine.data)
        file.create_dataset("times", data=np.asarray(cine.times, np.float64))
        for name, array in extra.items():
            file.create_dataset(name, data=array)
        file.attrs["schema"], file.attrs["version"] = SCHEMA, VERSION
        file.attrs["fov_mm"], file.attrs["slice_thickness_mm"] = cine.fov_mm, cine.slice_thickness_mm
        if cine.affine is not None:
            file.attrs["affine"] = cine.affine


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
        affine = file.attrs.get("affine")
    data, times = arrays.pop("cine"), arrays.pop("times")
    if data is None or times is None or data.ndim != 4 or times.shape != data.shape[1:2]:
        raise BadScan(
            where, "the shape of its cine is not slice, frame, y, x with a time for each frame", "export it again"
        )
    cine = Cine(data.astype(np.complex64), times, (float(fov[0]), float(fov[1])), thickness, affine)
    return cine, {name: array for name, array in arrays.items() if array is not None}


def read_series(path: Path, header_only: bool = False) -> np.ndarray:
    """A series `slice frame y x` from .npy, NIfTI, a dainr cine, or the reference inside a scan file.

    With `header_only` no pixel is read: the array returned has the shape of the series and holds zeros.
    Raises BadScan when the file is missing, of another kind, or not such a series.
    """
    where = str(path)
    if not path.is_file():
        raise BadScan(where, "there is no such file", "name a .npy, NIfTI or HDF5 file")
    try:
        if path.suffix == ".npy":
            series = np.load(path, mmap_mode="r" if header_only else None, allow_pickle=False)
            if not isinstance(series, np.ndarray):
                raise ValueError("an archive of several arrays")
        elif path.name.endswith((".nii", ".nii.gz")):
            series = _read_nifti(path, header_only)
        elif is_hdf5(path):
            series = _read_hdf5(path, header_only)
        else:
            raise BadScan(where, "its kind is not known", "give .npy, NIfTI or HDF5")
    except UNREADABLE as error:
        raise BadScan(where, f"it cannot be read ({error})", "export it again") from error
    if series.dtype.kind not in "iufc" or series.ndim not in (3, 4) or 0 in series.shape:
        raise BadScan(where, f"it holds {series.dtype} of shape {series.shape}", "store slice, frame, y, x")
    if header_only:
        series = _blank(series)
    return series if series.ndim == 4 else series[None]


def _blank(like: Any) -> np.ndarray:
    """An array of the same shape and type that takes no memory."""
    return np.broadcast_to(np.zeros((), like.dtype), like.shape)


def _read_nifti(path: Path, header_only: bool) -> np.ndarray:
    stored = nibabel.loadsave.load(path).dataobj  # type: ignore[attr-defined]
    data = _blank(stored) if header_only else np.asarray(stored)
    return data.reshape(*data.shape, *[1] * (4 - data.ndim)).transpose(2, 3, 1, 0)


def _read_hdf5(path: Path, header_only: bool) -> np.ndarray:
    where = str(path)
    with open_hdf5(path) as file:
        for name in ("reference", "cine"):
            if header_only and isinstance(file.get(name), h5py.Dataset):
                return np.broadcast_to(np.zeros((), np.complex64), file[name].shape)
            series = read_array(file, name, where)
            if series is not None:
                return series
    raise BadScan(where, "it holds neither a reference nor a cine", "give the fully sampled images")
