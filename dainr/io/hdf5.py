"""What every HDF5 reader shares: opening a file with a clear error, reading a dataset, writing without half a file."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np

from dainr.errors import BadRequest, BadScan

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(path: Path) -> bool:
    """Whether the file begins as HDF5 files do."""
    with path.open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """An HDF5 file open for reading. Raises BadScan when it is truncated or damaged, also while it is read."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # of structure, of names, of types
        raise BadScan(
            str(path), f"the file is truncated or damaged ({_first_line(error)})", "copy or export it again"
        ) from error


def read_array(file: h5py.File, name: str, where: str) -> np.ndarray | None:
    """The dataset of that name as an array, or None. Raises BadScan when it does not hold numbers."""
    if name not in file:
        return None
    dataset = file[name]
    try:
        array = np.asarray(dataset[()]) if isinstance(dataset, h5py.Dataset) else np.empty(0, object)
    except (TypeError, ValueError):  # an HDF5 type that numpy lacks
        array = np.empty(0, object)
    if array.dtype.names == ("real", "imag") and array.dtype["real"].kind in "iuf":  # complex numbers, as pairs
        pair, array = array, np.empty(array.shape, np.result_type(array.dtype["real"], np.complex64))
        array.real, array.imag = pair["real"], pair["imag"]
    if array.dtype.kind not in "biufc":
        raise BadScan(where, f"{name} is not an array of numbers", f"store {name} as a numeric dataset")
    return array


@contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place once the block has ended well, and vanishes otherwise."""
    if not path.parent.is_dir():
        raise BadRequest(str(path), f"there is no folder {path.parent}", "create it first")
    if path.exists() and not path.is_file():
        raise BadRequest(str(path), "it is no ordinary file", "choose another name")
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix="".join(path.suffixes[-2:]), dir=path.parent)
    except OSError as error:
        raise BadRequest(str(path), f"it cannot be written ({error.strerror})", "choose another folder") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0].strip("\"'") if text else type(error).__name__
