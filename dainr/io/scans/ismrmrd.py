"""ISMRMRD files: what is in one, by the `ismrmrd` package and HDF5; `ismrmrd_build` makes a scan of it.

Format: Inati et al., Magn Reson Med 2017;77:411.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.hdf5 import is_hdf5, open_hdf5, read_array
from dainr.io.scans.ismrmrd_build import BESIDE, build_scan
from dainr.scan import Scan

NAME = "an ISMRMRD file"
READ_AT_A_TIME = 1024


def recognises(path: Path) -> bool:
    """Whether this is an HDF5 file with a group that holds an ISMRMRD header and acquisitions."""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return _group(file) is not None


def read(path: Path) -> Scan:
    """The scan in an ISMRMRD file. Raises BadScan when it is damaged, and where `build_scan` does."""
    where = str(path)
    with open_hdf5(path) as file:
        group = _group(file)
        assert group is not None
        extra = {name: read_array(file[group], name, where) for name in BESIDE}
    return build_scan(_header(path, group), _acquisitions(path, group), where, extra)


def _group(file: h5py.File) -> str | None:
    for name, item in file.items():
        if isinstance(item, h5py.Group) and "xml" in item and "data" in item:
            return name
    return None


def _header(path: Path, group: str) -> Any:
    with _readable(path):
        with open_hdf5(path) as file:
            document = file[group]["xml"][0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a value in the header that is not what it should be
            return ismrmrd.xsd.CreateFromDocument(document)


def _acquisitions(path: Path, group: str) -> Iterator[Any]:
    """All acquisitions, read many at a time; the library, which reads each by itself, takes 2 ms for it."""
    with _readable(path), open_hdf5(path) as file:
        stored = file[group]["data"]
        for first in range(0, len(stored), READ_AT_A_TIME):
            for row in stored[first : first + READ_AT_A_TIME]:
                acquisition = ismrmrd.Acquisition(row["head"])
                acquisition.data[:] = row["data"].view(np.complex64).reshape(acquisition.data.shape)
                acquisition.traj[:] = row["traj"].reshape(acquisition.traj.shape)
                yield acquisition


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raises BadScan for what the library raises where a file is damaged."""
    try:
        yield
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, Warning) as error:
        raise BadScan(str(path), f"its ISMRMRD content cannot be read ({error})", "export it again") from error
