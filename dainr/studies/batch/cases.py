"""The cases of a folder: every file in it that is a scan, or by its name ought to be one."""

import os
from dataclasses import dataclass
from pathlib import Path

from dainr.errors import BadRequest, BadScan, LockedScan
from dainr.io.hdf5 import is_hdf5, open_hdf5
from dainr.io.images.cine import is_cine
from dainr.io.scans import bart
from dainr.io.scans.formats import READERS
from dainr.studies.batch.index import entry, read_index
from dainr.studies.batch.names import name_cases

MOTION = "dainr-motion"  # the schema of files of motion; their module is much to import for a word
SUFFIXES = (".h5", ".hdf5", ".mrd", ".mat", ".cfl")  # of files that are broken if no reader recognises them


@dataclass(frozen=True)
class Case:
    """A scan file and the name it goes by; `key` is its path in the folder of scans."""

    name: str
    path: Path
    key: str = ""


def find_cases(folder: Path, out: Path) -> list[Case]:
    """The cases in a folder and the folders in it, sorted, whatever is in a batch's folder `out` within aside.

    Names that a batch in `out` gave before stay. Not cases: hidden files, reconstructions, what a batch wrote, and
    BART's trajectories and coil maps of a k-space beside them. Raises BadRequest when there is no folder, or nothing
    in it.
    """
    if not folder.is_dir():
        raise BadRequest(str(folder), "there is no such folder", "name a folder of scan files")
    files = [path for path in _files(folder, out.resolve()) if _is_case(path)]
    files = [path for path in files if path not in {beside for file in files for beside in _beside(file)}]
    if not files:
        raise BadRequest(str(folder), "there is no scan in it", "name a folder of scan files")
    names = name_cases([path.relative_to(folder) for path in files], read_index(out).names)
    return [Case(name, path, str(path.relative_to(folder))) for name, path in zip(names, files, strict=True)]


def _files(folder: Path, leave_out: Path) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder):
        written = _written_by_batch(Path(where))
        folders[:] = sorted(
            f for f in folders if f[0] != "." and f not in written and (Path(where) / f).resolve() != leave_out
        )
        found += [Path(where) / name for name in sorted(names) if name[0] != "." and entry(name) not in written]
    return found


def _written_by_batch(folder: Path) -> set[str]:
    try:
        return read_index(folder).files
    except BadRequest:
        return set()


def _is_case(path: Path) -> bool:
    if path.suffix == ".hdr":  # the .cfl beside it is the case
        return False
    try:
        return not _is_result(path) and (path.suffix in SUFFIXES or any(reader.recognises(path) for reader in READERS))
    except (LockedScan, OSError):
        return True
    except BadScan:
        return path.suffix in SUFFIXES


def _is_result(path: Path) -> bool:
    """Whether this is a reconstruction or its motion: dainr's own files, images of ISMRMRD, or of BART."""
    if path.suffix == ".cfl" and (header := path.with_suffix(".hdr")).is_file():
        return bart.CREATOR.encode() in header.read_bytes()[:4096]
    if is_cine(path) or _is_motion(path):
        return True
    if path.suffix != ".mrd" or not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        groups = [set(group) for group in file.values() if hasattr(group, "keys")]
    return bool(groups) and all("data" not in group and "image_0" in group for group in groups)


def _is_motion(path: Path) -> bool:
    if not is_hdf5(path):
        return False
    with open_hdf5(path) as file:
        return file.attrs.get("schema") == MOTION


def _beside(path: Path) -> list[Path]:
    return bart.companions(path) if path.suffix == ".cfl" else []
