"""The scans of a benchmark, each with its reference: those of a folder, or phantoms the program simulates."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import say, write_phantom
from dainr.errors import DainrError
from dainr.io import load
from dainr.io.images.series import read_series
from dainr.scan import Scan
from dainr.simulate import SimulationConfig

SUFFIXES = (".h5", ".hdf5", ".mrd")
SPOKES = (21, 13, 5, 3)


@dataclass(frozen=True)
class Subject:
    """A scan file and the file of its reference; `reference_from` says in words where that comes from."""

    name: str
    scan: Path
    reference: Path
    reference_from: str
    about: str


def find_subjects(folder: Path, given: Mapping[str, Path], work: Path) -> list[Subject]:
    """Every scan of a folder that has frames and a reference; the others are named on stderr.

    The reference is the one `given` for the file's name, else `<stem>_reference.npy`, else the one in the file, else
    the only `*_reference.npy` of the folder whose shape fits.
    """
    found = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES):
        try:
            scan = load(path)
            if not scan.n_frames:
                say(f"{path.name}: left out, its readouts are not binned into frames")
                continue
            chosen = _reference(path, scan, given, work)
        except DainrError as error:
            say(f"{path.name}: left out, {error}")
            continue
        if chosen is None:
            say(f"{path.name}: left out, it has no reference")
            continue
        found.append(Subject(path.stem, path, *chosen, _describe(scan)))
    return found


def simulate_subjects(work: Path, matrix: int = 128, frames: int = 25) -> list[Subject]:
    """Phantoms: radial with fewer and fewer spokes a frame, and Cartesian."""
    configs = {f"radial{n}": SimulationConfig(spokes=n, matrix=matrix, frames=frames) for n in SPOKES}
    configs["vista8"] = SimulationConfig(pattern="vista", acceleration=8, matrix=matrix, frames=frames)
    return [simulate_subject(work, name, config) for name, config in configs.items()]


def simulate_subject(work: Path, name: str, config: SimulationConfig) -> Subject:
    """One phantom."""
    path = write_phantom(work, name, config)
    scan, reference = load(path), work / f"{name}_reference.npy"
    assert scan.reference is not None
    np.save(reference, scan.reference)
    return Subject(name, path, reference, "the phantom itself", _describe(scan))


def _reference(path: Path, scan: Scan, given: Mapping[str, Path], work: Path) -> tuple[Path, str] | None:
    if path.name in given:
        return given[path.name], f"{given[path.name].name}, as given"
    own = path.with_name(f"{path.stem}_reference.npy")
    if own.is_file():
        return own, own.name
    if scan.reference is not None:
        copy = work / own.name
        np.save(copy, scan.reference)
        return copy, "in the scan file"
    shape = (scan.n_slices, scan.n_frames, *scan.matrix)
    fitting = [
        p for p in sorted(path.parent.glob("*_reference.npy")) if read_series(p, header_only=True).shape == shape
    ]
    if len(fitting) != 1:
        return None
    return fitting[0], f"{fitting[0].name}, the only one of this shape: not checked further"


def _describe(scan: Scan) -> str:
    ny, nx = scan.matrix
    kind = "Cartesian" if scan.is_cartesian else "radial"
    slices = f"{scan.n_slices} slices, " if scan.n_slices > 1 else ""
    each = scan.readouts_per_frame
    readouts = f"{each.min()}" if each.min() == each.max() else f"{each.min()} to {each.max()}"
    return f"{slices}{scan.n_frames} frames of {ny} x {nx}, {kind}, {readouts} readouts a frame, {scan.n_coils} coils"
