"""Coil maps and density weights from files of their own: .npy, BART's .cfl, HDF5."""

from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Complex, Float

from dainr.errors import BadRequest, BadScan
from dainr.io.hdf5 import open_hdf5, read_array
from dainr.io.images.series import UNREADABLE
from dainr.io.scans import bart
from dainr.io.scans.options import dashed
from dainr.scan import Scan


def with_coil_maps(scan: Scan, path: Path) -> Scan:
    """The scan with the coil maps of a file, `slice coil y x`, or `coil y x` for a single slice.

    Raises BadRequest where they are none of this scan.
    """
    maps = _read(path, "coil_maps")
    wanted = (scan.n_slices, scan.n_coils, *scan.matrix)
    if maps.shape == wanted[1:] and scan.n_slices == 1:
        maps = maps[None]
    if maps.shape != wanted:
        raise _other_shape("coil_maps", path, maps.shape, "slice, coil, y, x", wanted)
    if not np.abs(maps).max() > 0:
        raise BadRequest(f"--coil-maps {path}", "they are zero everywhere", "give maps with signal")
    note = f"coil maps from {path.name}" + (", instead of the file's" if scan.coil_maps is not None else "")
    return scan.changed(coil_maps=maps.astype(np.complex64), notes=(*scan.notes, note))


def with_density(scan: Scan, path: Path) -> Scan:
    """The scan with the density weights of a file, `slice readout sample`, or `readout sample` for all slices.

    Raises BadRequest where they are none of this scan.
    """
    density = _read(path, "density")
    wanted = (scan.n_slices, scan.n_readouts, scan.n_samples)
    if density.shape == wanted[1:]:
        density = np.broadcast_to(density, wanted)
    if density.shape != wanted:
        raise _other_shape("density", path, density.shape, "slice, readout, sample", wanted)
    if density.dtype.kind == "c" and np.any(density.imag):
        raise BadRequest(f"--density {path}", "its weights are complex", "give real weights")
    if not (density.real.min() >= 0 and density.real.max((1, 2)).min() > 0):
        raise BadRequest(
            f"--density {path}", "its weights are negative, or all zero in a slice", "give how much each counts"
        )
    note = f"density weights from {path.name}"
    return scan.changed(density=np.ascontiguousarray(density.real), notes=(*scan.notes, note))


def _read(path: Path, name: str) -> Complex[np.ndarray, "..."] | Float[np.ndarray, "..."]:
    """The finite numbers in a file, axes as those of a scan."""
    what = f"--{dashed(name)} {path}"
    if not path.is_file():
        raise BadRequest(what, "there is no such file", "name a .npy, .cfl or HDF5 file")
    try:
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
        elif path.suffix in (".cfl", ".hdr"):
            stored, where = bart.read_cfl(path), str(path)
            array = bart.coil_maps_of(stored, where) if name == "coil_maps" else bart.density_of(stored, where)
        else:
            array = _read_hdf5(path, name)
    except BadScan as error:
        raise BadRequest(what, error.why, error.fix) from error
    except UNREADABLE as error:
        raise BadRequest(what, f"it cannot be read ({error})", "give a .npy, .cfl or HDF5 file") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc" or array.size == 0:
        raise BadRequest(what, "it holds no array of numbers", "store one array")
    with np.errstate(over="ignore"):
        array = array.astype(np.complex64 if array.dtype.kind == "c" else np.float32)
    if not np.isfinite(array).all():
        raise BadRequest(what, "it holds NaN or Inf, or numbers too large", "repair or leave it out")
    return array


def _read_hdf5(path: Path, name: str) -> np.ndarray:
    """The dataset of that name, or the only one there is."""
    with open_hdf5(path) as file:
        names = [key for key, item in file.items() if isinstance(item, h5py.Dataset)]
        chosen = name if name in names else names[0] if len(names) == 1 else None
        array = None if chosen is None else read_array(file, chosen, str(path))
    if array is None:
        held = ", ".join(map(str, names)) or "no arrays"
        raise BadRequest(f"--{dashed(name)} {path}", f"it holds {held}", f"call the dataset {name}")
    return array


def _other_shape(name: str, path: Path, found: tuple[int, ...], axes: str, wanted: tuple[int, ...]) -> BadRequest:
    asked = " x ".join(map(str, wanted))
    why = f"its shape is {' x '.join(map(str, found))}, the scan asks for {asked} ({axes})"
    return BadRequest(f"--{dashed(name)} {path}", why, f"store the {name.replace('_', ' ')} of this scan")
