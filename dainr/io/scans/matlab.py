"""MATLAB's files of k-space, version 7.3 (HDF5, axes reversed) or older.

    CMRxRecon 2023-2025   kspace_full, kspace_sub04, kspace, kus, ...: x, y, coil, slice, frame; zeros where nothing was
                          measured. kspace_single_...: x, y, slice, frame
    TD-DIP, DA-INR        data: y, x, frame, coil; b1: y, x, coil, its coil maps
    GRASP, L+S            kdata with or without a trajectory k: see `matlab_demo`

https://cmrxrecon.github.io, https://github.com/jaejun-yoo/TDDIP. The transforms are dainr's: centred at n // 2.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Complex

from dainr.errors import BadRequest, BadScan
from dainr.io.hdf5 import open_hdf5
from dainr.io.scans.matlab_demo import DEMO, NO_SPOKES, read_demo
from dainr.io.scans.matlab_file import MAGIC, Shapes, Variable, arrays_of, variables
from dainr.io.scans.on_grid import ASSUMED, PERHAPS_VIEWS, readouts_on_grid
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

NAME = "a MATLAB file of k-space (CMRxRecon, TD-DIP, GRASP, L+S)"
TAKES = frozenset({"oversampling"})
KSPACE = ("kspace", "kus")  # beginnings of the names of k-space
SINGLE = "kspace_single"  # of one coil, without an axis for it
GATED, GATED_MAPS = "data", "b1"
HDF5_OFFSETS = (0, 512)  # MATLAB puts half a kilobyte of its own before the HDF5 file
MASK_USE = "give the file of the k-space, or undersample it by this mask: dainr convert KSPACE OUT --mask MASK"
READS = "dainr reads kspace..., kus... (CMRxRecon), data with b1 (TD-DIP), kdata with k (GRASP) or without (L+S)"


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
        return not own and any(_is_kspace(name) or _is_mask(name) or name in DEMO for name in arrays_of(file))


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in a MATLAB file.

    Raises BadScan when the file is damaged, holds no k-space under a known name, or k-space of another layout.
    """
    where = str(path)
    shapes, variable = variables(path)
    if any(name in shapes for name in DEMO):
        return read_demo(shapes, variable, options.oversampling, where)
    if options.oversampling is not None:
        raise BadRequest(NO_SPOKES, f"{where} holds lines or points on their grid", "leave it out")
    kspace, maps, name = _load(shapes, variable, where)
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
        notes=(
            f"k-space from the variable {name}",
            *([PERHAPS_VIEWS.format(len(samples))] if len(samples) > 1 else []),
        ),
        decided={"slices_may_be_views": True} if len(samples) > 1 else {},
        assumed=ASSUMED,
    )


def read_mask(path: Path) -> np.ndarray:
    """The variable of a MATLAB file with "mask" in its name, axes as in MATLAB. Raises BadScan where there is none."""
    where = str(path)
    if not recognises(path):
        raise BadScan(where, "it is no MATLAB file of a mask", "give a MATLAB file or .npy with a sampling mask")
    shapes, variable = variables(path)
    name = next((n for n in shapes if _is_mask(n)), None)
    if name is None:
        raise BadScan(where, f"it holds {', '.join(shapes) or 'nothing'}, no mask", "give the file of the mask")
    return variable(name)


def _load(
    shapes: Shapes, variable: Variable, where: str
) -> tuple[Complex[np.ndarray, "x y coil time slice"], np.ndarray | None, str]:
    """K-space and, where there are any, coil maps `slice coil y x`, and the name of the k-space."""
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


def _is_kspace(name: str) -> bool:
    return name.lower().startswith(KSPACE)


def _is_mask(name: str) -> bool:
    return "mask" in name.lower()
