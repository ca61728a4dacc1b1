"""The cases of a folder: every file in it that is a scan, or by its name ought to be one."""

import os
from dataclasses import dataclass
from pathlib import Path

from dainr.errors import BadRequest, BadScan, LockedScan
from dainr.io.images.cine import is_cine
from dainr.io.scans import bart
from dainr.io.scans.formats import READERS

SUFFIXES = (".h5", ".hdf5", ".mrd", ".mat", ".cfl")  # of files that are broken if no reader recognises them


@dataclass(frozen=True)
class Case:
    """A scan file and the name it goes by."""

    name: str
    path: Path


def find_cases(folder: Path, leave_out: Path) -> list[Case]:
    """The cases in a folder and the folders in it, sorted, whatever is in `leave_out` aside.

    Not cases: hidden files, reconstructions, and BART's trajectories and coil maps of a k-space beside them. Raises
    BadRequest when there is no folder, or nothing in it.
    """
    if not folder.is_dir():
        raise BadRequest(str(folder), "there is no such folder", "name a folder of scan files")
    files = [path for path in _files(folder, leave_out.resolve()) if _is_case(path)]
    files = [path for path in files if path not in {beside for file in files for beside in _beside(file)}]
    if not files:
        raise BadRequest(str(folder), "there is no scan in it", "name a folder of scan files")
    plain = ["_".join(path.relative_to(folder).with_suffix("").parts) for path in files]
    names = [
        name if plain.count(name) == 1 else f"{name}_{path.suffix[1:]}" for name, path in zip(plain, files, strict=True)
    ]
    return [Case(name, path) for name, path in zip(names, files, strict=True)]


def _files(folder: Path, leave_out: Path) -> list[Path]:
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if f[0] != "." and (Path(where) / f).resolve() != leave_out)
        found += [Path(where) / name for name in sorted(names) if name[0] != "."]
    return found


def _is_case(path: Path) -> bool:
    if path.suffix == ".hdr":  # the .cfl beside it is the case
        return False
    try:
        return not is_cine(path) and (path.suffix in SUFFIXES or any(reader.recognises(path) for reader in READERS))
    except (LockedScan, OSError):
        return True
    except BadScan:
        return path.suffix in SUFFIXES


def _beside(path: Path) -> list[Path]:
    return bart.companions(path) if path.suffix == ".cfl" else []
