"""MATLAB's files of Cartesian cine k-space, version 7.3 (HDF5, axes reversed) or older.

    CMRxRecon 2023-2025   kspace_full, kspace_sub04, kspace, kus, ...: x, y, coil, slice, frame; zeros where nothing was
                          measured. kspace_single_...: x, y, slice, frame
    TD-DIP, DA-INR        data: y, x, frame, coil; b1: y, x, coil, its coil maps

https://cmrxrecon.github.io, https://github.com/jaejun-yoo/TDDIP. The transforms are dainr's: centred at n // 2.
"""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex

from dainr.errors import BadScan
from dainr.io.hdf5 import open_hdf5, read_array
from dainr.io.scans.on_grid import ASSUMED, readouts_on_grid
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

NAME = "a MATLAB file of Cartesian k-space (CMRxRecon, TD-DIP)"
TAKES: frozenset[str] = frozenset()
MAGIC = (b"MATLAB 7.3 MAT-file", b"MATLAB 5.0 MAT-file")
KSPACE = ("kspace", "kus")  # beginnings of the names of k-space
SINGLE = "kspace_single"  # of one coil, without an axis for it
GATED, GATED_MAPS = "data", "b1"
HDF5_OFFSETS = (0, 512)  # MATLAB puts half a kilobyte of its own before the HDF5 file
MASK_USE = "give the file of the k-space, or undersample it by this mask: dainr convert KSPACE OUT --mask MASK"
NUMBERS = ("double", "single", "logical", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
READS = "dainr reads kspace..., kus... (CMRxRecon) or data with b1 (TD-DIP)"


def recognises(path: Path) -> bool:
    """Whether MATLAB says that it wrote this file, or it is HDF5 with k-space or a mask by a name of CMRxRecon."""
    with path.open("rb") as file:
        head = file.read(520)
    if head.startswith(MAGIC):
        return True
    if not any(head[offset:].startswith(b"\x89HDF\r\n\x1a\n") for offset in HDF5_OFFSETS):
        return False
    with open_hdf5(path) as file:
        own = "schema" in file.attrs or "trajectory" in file
        return not own and any(_is_kspace(name) or _is_mask(name) for name in _arrays(file))


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in a MATLAB file.

    Raises BadScan when the file is damaged, holds no k-space under a known name, or k-space of another layout.
    """
    where = str(path)
    kspace, maps, name = _load(path)
    readouts = readouts_on_grid(kspace, where)
    samples, matrix = readouts.kspace, readouts.matrix
    if maps is not None and maps.shape != (*samples.shape[:2], *matrix):
        raise BadScan(
            where,
            f"its coil maps are {maps.shape} (slice, coil, y, x), its k-space asks for {(*samples.shape[:2], *matrix)}",
            "give the maps of this scan",
        )
    return Scan(
        kspace=samples,
        trajectory=readouts.trajectory,
        times=readouts.times,
        matrix=matrix,
        fov_mm=(float(matrix[0]), float(matrix[1])),
        slice_thickness_mm=1.0,
        frame=readouts.frame.astype(np.int32),
        coil_maps=maps,
        name=where,
        notes=(f"k-space from the variable {name}",),
        assumed=ASSUMED,
    )


def read_mask(path: Path) -> np.ndarray:
    """The variable of a MATLAB file with "mask" in its name, axes as in MATLAB. Raises BadScan where there is none."""
    where = str(path)
    if not recognises(path):
        raise BadScan(where, "it is no MATLAB file of a mask", "give a MATLAB file or .npy with a sampling mask")
    shapes, variable = _variables(path)
    name = next((n for n in shapes if _is_mask(n)), None)
    if name is None:
        raise BadScan(where, f"it holds {', '.join(shapes) or 'nothing'}, no mask", "give the file of the mask")
    return variable(name)


def _load(path: Path) -> tuple[Complex[np.ndarray, "x y coil time slice"], np.ndarray | None, str]:
    """K-space and, where there are any, coil maps `slice coil y x`, and the name of the k-space."""
    where = str(path)
    shapes, variable = _variables(path)
    name = next((n for n in shapes if _is_kspace(n)), GATED if GATED in shapes else None)
    if name is None:
        for mask in filter(_is_mask, shapes):
            size = " x ".join(map(str, shapes[mask]))
            raise BadScan(where, f"it holds a sampling mask alone ({mask}, {size})", MASK_USE)
        raise BadScan(where, f"it holds {', '.join(shapes) or 'nothing'}", f"give the file of the k-space: {READS}")
    array, axes = variable(name), len(shapes[name])
    if array.dtype.kind != "c":
        raise BadScan(where, f"{name} is not complex", "give k-space, not images")
    if name == GATED:
        if axes not in (3, 4):
            raise BadScan(where, f"{name} has {axes} axes", "store it as y, x, frame, coil")
        array = array.reshape(*array.shape, *[1] * (4 - axes))
        maps = variable(GATED_MAPS) if GATED_MAPS in shapes else None
        if maps is not None and maps.ndim not in (2, 3):
            raise BadScan(where, f"{GATED_MAPS} has {maps.ndim} axes", "store it as y, x, coil")
        if maps is not None:
            maps = maps.reshape(*maps.shape[:2], -1).transpose(2, 0, 1)[None].astype(np.complex64)
        return array.transpose(1, 0, 3, 2)[..., None], maps, name
    if name.startswith(SINGLE):
        array = array[:, :, None] if axes > 2 else array
    if not 3 <= array.ndim <= 5:
        raise BadScan(where, f"{name} has {axes} axes", "store it as x, y, coil, slice, frame")
    array = array.reshape(*array.shape, *[1] * (5 - array.ndim))  # MATLAB drops last axes of one entry
    return array.swapaxes(3, 4), None, name


def _variables(path: Path) -> tuple[dict[str, tuple[int, ...]], Callable[[str], np.ndarray]]:
    """The shapes of the numeric variables, in MATLAB's order of axes, and what reads one of them."""
    with path.open("rb") as file:
        old = file.read(len(MAGIC[1])) == MAGIC[1]
    if old:
        arrays = _read_old(path)
        return {name: array.shape for name, array in arrays.items()}, arrays.__getitem__
    with open_hdf5(path) as hdf5:
        return {name: hdf5[name].shape[::-1] for name in _arrays(hdf5)}, lambda name: _read_hdf5(path, name)


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


def _arrays(file: h5py.File) -> list[str]:
    return [  # a damaged name is bytes
        name for name, item in file.items() if isinstance(name, str) and isinstance(item, h5py.Dataset) and item.shape
    ]


def _is_kspace(name: str) -> bool:
    return name.lower().startswith(KSPACE)


def _is_mask(name: str) -> bool:
    return "mask" in name.lower()
