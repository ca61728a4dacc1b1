"""Series of images to compare with, as others wrote them: .npy, NIfTI, a dainr cine, the reference inside a scan."""

import tokenize
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dainr.errors import BadScan
from dainr.io.hdf5 import is_hdf5, open_hdf5, read_array

# What numpy raises on damaged files
UNREADABLE = (OSError, ValueError, EOFError, OverflowError, SyntaxError, tokenize.TokenError, zlib.error)


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
    import nibabel  # here, for it takes a while and most series are of other formats

    try:
        stored = nibabel.loadsave.load(path).dataobj  # type: ignore[attr-defined]
        data = _blank(stored) if header_only else np.asarray(stored)
    except (nibabel.filebasedimages.ImageFileError, nibabel.spatialimages.HeaderDataError) as error:
        raise ValueError(str(error)) from error  # as of what else is damaged
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
        for group in (item for item in file.values() if isinstance(item, h5py.Group)):  # ISMRMRD's
            stored = read_array(group, "reference", where)
            if stored is not None and len(stored) == 1:
                return stored[0]
    raise BadScan(where, "it holds neither a reference nor a cine", "give the fully sampled images")
