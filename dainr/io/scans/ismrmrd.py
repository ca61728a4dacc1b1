"""ISMRMRD files. Their package takes a while to import, which files of other formats need not wait for.

`ismrmrd_file` reads what is in one, `ismrmrd_build` makes a scan of it, `ismrmrd_write` writes one.
Format: Inati et al., Magn Reson Med 2017;77:411.
"""

from pathlib import Path

import h5py

from dainr.io.hdf5 import is_hdf5, open_hdf5, read_array
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

TAKES: frozenset[str] = frozenset()
NAME = "an ISMRMRD file"


def recognises(path: Path) -> bool:
    """Whether this is an HDF5 file with a group that holds an ISMRMRD header and acquisitions."""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return _group(file) is not None


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in an ISMRMRD file. Raises BadScan when it is damaged, and where `build_scan` does."""
    from dainr.io.scans.ismrmrd_build import BESIDE, build_scan
    from dainr.io.scans.ismrmrd_file import read_acquisitions, read_document

    where = str(path)
    with open_hdf5(path) as file:
        group = _group(file)
        assert group is not None
        extra = {name: read_array(file[group], name, where) for name in BESIDE}
    return build_scan(read_document(path, group), read_acquisitions(path, group), where, extra)


def write(scan: Scan, path: Path) -> None:
    """Write a scan as an ISMRMRD file, as `write_ismrmrd`."""
    from dainr.io.scans.ismrmrd_write import write_ismrmrd

    write_ismrmrd(scan, path)


def _group(file: h5py.File) -> str | None:
    for name, item in file.items():
        if isinstance(item, h5py.Group) and "xml" in item and "data" in item:
            return name
    return None
