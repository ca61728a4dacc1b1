"""The numeric variables of a MATLAB file, version 7.3 (HDF5, axes reversed) or older."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from dainr.errors import BadScan
from dainr.io.hdf5 import open_hdf5, read_array

MAGIC = (b"MATLAB 7.3 MAT-file", b"MATLAB 5.0 MAT-file")
NUMBERS = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))

Shapes = dict[str, tuple[int, ...]]
Variable = Callable[[str], np.ndarray]


def variables(path: Path) -> tuple[Shapes, Variable]:
    """The shapes of the numeric variables, in MATLAB's order of axes, and what reads one of them."""
    with path.open("rb") as file:
        old = file.read(len(MAGIC[1])) == MAGIC[1]
    if old:
        arrays = _read_old(path)
        return {name: array.shape for name, array in arrays.items()}, arrays.__getitem__
    with open_hdf5(path) as hdf5:
        return {name: hdf5[name].shape[::-1] for name in arrays_of(hdf5)}, lambda name: _read_hdf5(path, name)


def _read_old(path: Path) -> dict[str, np.ndarray]:
    """The numeric variables of a file before version 7.3 by name, axes as in MATLAB."""
    import scipy.io  # here, for it takes a while and few files are so old

    try:
        names = [name for name, _, kind in scipy.io.whosmat(path) if kind in NUMBERS]
        arrays = scipy.io.loadmat(path, variable_names=names)
    except Exception as error:  # its reader raises of every kind where a file is damaged
        raise BadScan(str(path), f"the file is truncated or damaged ({error})", "copy or export it again") from error
    arrays = {name: arrays[name] for name in names if isinstance(arrays.get(name), np.ndarray)}
    return {name: array for name, array in arrays.items() if array.dtype.kind in "biufc"}


def _read_hdf5(path: Path, name: str) -> np.ndarray:
    with open_hdf5(path) as file:
        array = read_array(file, name, str(path))
    assert array is not None
    return array.T


def arrays_of(file: h5py.File) -> list[str]:
    """The names of the arrays at the top of an HDF5 file."""
    return [  # a damaged name is bytes
        name for name, item in file.items() if isinstance(name, str) and isinstance(item, h5py.Dataset) and item.shape
    ]
