"""The measurements in an ISMRMRD file: HDF5 groups with a header and acquisitions. Imports nothing that takes long."""

from pathlib import Path

import h5py

from dainr.io.hdf5 import open_hdf5


def groups(path: Path) -> list[str]:
    """Their names, in order. Raises BadScan where the file is damaged."""
    with open_hdf5(path) as file:
        found = [name for name, item in file.items() if isinstance(item, h5py.Group) and {"xml", "data"} <= set(item)]
    return [name for name in found if isinstance(name, str)]  # a damaged name is bytes
