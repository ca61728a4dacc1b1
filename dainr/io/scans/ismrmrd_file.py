"""What is in an ISMRMRD file: its header and its acquisitions, by the `ismrmrd` package and HDF5."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.hdf5 import open_hdf5

READ_AT_A_TIME = 1024


def read_header(path: Path, group: str) -> Any:
    """The header, an `ismrmrd.xsd.ismrmrdHeader`. Raises BadScan where it cannot be read."""
    with _readable(path):
        with open_hdf5(path) as file:
            document = file[group]["xml"][0]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a value in the header that is not what it should be
            return ismrmrd.xsd.CreateFromDocument(document)


def read_acquisitions(path: Path, group: str) -> Iterator[Any]:
    """All acquisitions, read many at a time; the library, which reads each by itself, takes 2 ms for it.

    Raises BadScan where one cannot be read.
    """
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
