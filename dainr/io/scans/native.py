"""dainr's own scan file: HDF5, schema `dainr-scan`, version 1 (docs/conventions.md lists every dataset)."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dainr.cine import LEFT_OPEN
from dainr.errors import BadScan
from dainr.io.hdf5 import is_hdf5, new_hdf5, open_hdf5, read_array, write_whole
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

NAME = "a native dainr-scan HDF5 file"
SCHEMA, VERSION = "dainr-scan", 1
REQUIRED = ("kspace", "trajectory", "times")
OPTIONAL: tuple[str, ...] = ("frame", "phase", "density", "coil_maps", "noise", "reference")
OPTIONAL += ("calibration", "calibration_trajectory")
DISPLACEMENT = "displacement"  # what only `read_displacement` reads
ATTRIBUTES = ("matrix", "fov_mm", "slice_thickness_mm", "affine", "planes")
TAKES: frozenset[str] = frozenset()
# axes, where they are the same for all slices
OF_EVERY_SLICE = {"trajectory": 3, "times": 1, "frame": 1, "phase": 1, "density": 2}
KINDS = {"kspace": np.complex64, "coil_maps": np.complex64, "noise": np.complex64, "trajectory": np.float32}
KINDS |= {"times": np.float64, "frame": np.int32, "phase": np.float32, "density": np.float32}
KINDS |= {"calibration": np.complex64, "calibration_trajectory": np.float32}


def recognises(path: Path) -> bool:
    """Whether this is an HDF5 file that calls itself a dainr scan, or has its k-space at the top level."""
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return _text(file.attrs.get("schema")) == SCHEMA or "kspace" in file


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in a native file. Raises BadScan with the part that is missing or wrong."""
    where = str(path)
    with open_hdf5(path) as file:
        _check_header(file, where)
        for name in REQUIRED:
            if name not in file:
                raise BadScan(where, f"the dataset {name} is missing", "write it as docs/conventions.md describes")
        parts = {name: read_array(file, name, where) for name in (*REQUIRED, *OPTIONAL)}
        attributes = {key: _numbers(file, key, where) for key in ATTRIBUTES}
        cyclic, assumed = _cyclic(file, where), (_text(file.attrs.get("assumed")) or "").split()
    cast: dict[str, Any] = {
        name: None if array is None else _cast(array, np.dtype(KINDS.get(name, array.dtype)), name, where)
        for name, array in parts.items()
    }
    kspace = cast["kspace"]
    if kspace.ndim != 4:
        raise BadScan(where, f"kspace has shape {kspace.shape}", "store it as slice, coil, readout, sample")
    for name, axes in OF_EVERY_SLICE.items():
        if cast[name] is not None and cast[name].ndim == axes:
            cast[name] = np.broadcast_to(cast[name], (len(kspace), *cast[name].shape))
    if cast["reference"] is not None and cast["reference"].dtype.kind != "c":
        cast["reference"] = cast["reference"].astype(np.float32)
    return Scan(**cast, **_geometry(attributes, where), cyclic=cyclic, assumed=_left_open(assumed), name=where)


def read_displacement(path: Path) -> np.ndarray:
    """The true displacement `slice frame 2 y x` that `dainr simulate` stored beside the scan.

    (x, y) in pixels, from each pixel of the first frame to where its tissue is in every frame; elsewhere nan. Raises
    BadScan when the file has none.
    """
    with open_hdf5(path) as file:
        found = read_array(file, DISPLACEMENT, str(path))
    if found is None:
        raise BadScan(str(path), "it stores no true displacement", "simulate one of the phantoms beating or textured")
    return found


def write(scan: Scan, path: Path, displacement: np.ndarray | None = None) -> None:
    """Write a scan as a native file; the file appears only once it is complete.

    `displacement`: the true one, as `read_displacement` gives it. No fit reads it.
    """
    with write_whole(path) as temporary, new_hdf5(temporary) as file:
        if displacement is not None:
            file.create_dataset(DISPLACEMENT, data=displacement.astype(np.float32), compression="gzip")
        for name in (*REQUIRED, *OPTIONAL):
            array = getattr(scan, name)
            if array is not None:
                kind = KINDS.get(name, array.dtype)
                file.create_dataset(name, data=np.ascontiguousarray(array, dtype=kind))
        file.attrs["schema"], file.attrs["version"] = SCHEMA, VERSION
        file.attrs["matrix"], file.attrs["fov_mm"] = scan.matrix, scan.fov_mm
        file.attrs["slice_thickness_mm"] = scan.slice_thickness_mm
        for key in ("affine", "planes"):
            if getattr(scan, key) is not None:
                file.attrs[key] = getattr(scan, key)
        if scan.cyclic is not None:
            file.attrs["cyclic"] = scan.cyclic
        if scan.assumed:
            file.attrs["assumed"] = " ".join(scan.assumed)


def _check_header(file: h5py.File, where: str) -> None:
    schema, version = _text(file.attrs.get("schema")), file.attrs.get("version")
    if schema != SCHEMA:
        raise BadScan(
            where, f"the attribute schema is {schema!r}, not {SCHEMA!r}", "set it if the file follows that layout"
        )
    if np.size(version) != 1 or not np.array_equal(np.ravel(version), [VERSION]):
        raise BadScan(
            where, f"it is version {version} of the native format, this program reads {VERSION}", "update dainr"
        )


def _text(value: Any) -> str | None:
    """Text of an attribute, which some programs store as bytes; None for anything else."""
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return value if isinstance(value, str) else None


def _numbers(file: h5py.File, key: str, where: str) -> np.ndarray | None:
    value = file.attrs.get(key)
    if value is None:
        return None
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise BadScan(where, f"the attribute {key} is {value!r}", f"store {key} as finite numbers")
    return array


def _cyclic(file: h5py.File, where: str) -> bool | None:
    """Whether the frames are one closed cycle, where the file says it."""
    value = file.attrs.get("cyclic")
    if value is None:
        return None
    if np.size(value) != 1 or np.ravel(value)[0] not in (0, 1):
        raise BadScan(where, f"the attribute cyclic is {value!r}", "store true or false, or leave it out")
    return bool(np.ravel(value)[0])


def _left_open(names: list[str]) -> tuple[str, ...]:
    """Of the lengths and times that the file calls assumed, those that there are."""
    return tuple(name for name in LEFT_OPEN if name in names)


def _cast(array: np.ndarray, kind: np.dtype, name: str, where: str) -> np.ndarray:
    if array.dtype.kind == "c" and kind.kind != "c":
        raise BadScan(where, f"{name} is complex", f"store it as {kind}")
    if kind.kind == "c" and array.dtype.kind != "c" and name != "noise":
        raise BadScan(where, f"{name} is {array.dtype}, not complex", f"store it as {kind}")
    if kind.kind == "i" and array.size:
        limits = np.iinfo(kind)
        if not (np.array_equal(array, np.rint(array)) and limits.min <= array.min() and array.max() <= limits.max):
            raise BadScan(where, f"{name} holds fractions or numbers too large for {kind}", f"store it as {kind}")
    return array.astype(kind, copy=False)


def _geometry(attributes: dict[str, np.ndarray | None], where: str) -> dict[str, Any]:
    matrix, fov = attributes["matrix"], attributes["fov_mm"]
    for key, value in (("matrix", matrix), ("fov_mm", fov)):
        if value is None or value.shape != (2,):
            raise BadScan(where, f"the attribute {key} is missing or not a pair (y, x)", f"store {key} as two numbers")
    if not np.array_equal(matrix, np.rint(matrix)) or max(matrix) > 2**31:  # type: ignore[arg-type]
        raise BadScan(where, f"the attribute matrix is {matrix}", "store two whole numbers of pixels")
    thickness = attributes["slice_thickness_mm"]
    if thickness is None or thickness.size != 1:
        raise BadScan(where, "the attribute slice_thickness_mm is missing", "store the slice thickness in mm")
    assert matrix is not None and fov is not None
    placed = {key: attributes[key] for key in ("affine", "planes")}
    return {
        "matrix": (int(matrix[0]), int(matrix[1])),
        "fov_mm": (float(fov[0]), float(fov[1])),
        "slice_thickness_mm": float(thickness.reshape(-1)[0]),
        **{key: None if value is None else value.astype(np.float64) for key, value in placed.items()},
    }
