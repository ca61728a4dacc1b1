"""ISMRMRD files. Their package takes a while to import, which files of other formats need not wait for.

`ismrmrd_file` reads what is in one, `ismrmrd_build` makes a scan of it, `ismrmrd_write` writes one.
Format: Inati et al., Magn Reson Med 2017;77:411.
"""

from pathlib import Path

from dainr.errors import BadRequest
from dainr.io.hdf5 import is_hdf5, open_hdf5, read_array
from dainr.io.scans.ismrmrd_groups import groups
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

TAKES = frozenset(
    {
        *("dataset", "noise", "contrast", "set_index", "repetition", "average"),
        *("trajectory", "trajectory_unit", "time_unit"),
    }
)
NAME = "an ISMRMRD file"


def recognises(path: Path) -> bool:
    """Whether this is an HDF5 file with a group that holds an ISMRMRD header and acquisitions."""
    if not is_hdf5(path):
        return False
    return bool(groups(path))


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in an ISMRMRD file. Raises BadScan when it is damaged, and what `build_scan` raises."""
    from dainr.io.scans.decisions import Decisions
    from dainr.io.scans.ismrmrd_build import BESIDE, build_scan
    from dainr.io.scans.ismrmrd_file import holds_noise, read_acquisitions, read_document

    where, decisions = str(path), Decisions()
    there = groups(path)
    group = choose_group(there, options.dataset, path)
    if len(there) > 1:
        others = ", ".join(name for name in there if name != group)
        decisions.say(f"the measurement {group} is read; --dataset takes another: {others}", dataset=group)
    with open_hdf5(path) as file:
        extra = {name: read_array(file[group], name, where) for name in BESIDE}
    document, acquisitions = read_document(path, group), read_acquisitions(path, group)
    if options.noise is None and len(there) > 1 and not holds_noise(path, group):
        noisy = [name for name in there if name != group and holds_noise(path, name)]
        if noisy:
            decisions.say(f"the measurement {noisy[-1]} holds noise: --noise {path}:{noisy[-1]} takes it")
    return build_scan(document, acquisitions, where, extra, options, decisions)


def write(scan: Scan, path: Path) -> None:
    """Write a scan as an ISMRMRD file, as `write_ismrmrd`."""
    from dainr.io.scans.ismrmrd_write import write_ismrmrd

    write_ismrmrd(scan, path)


def choose_group(there: list[str], asked: str | None, path: Path) -> str:
    """The group that is asked for by its name or number; of several, the last that holds more than noise."""
    if asked is not None:
        numbered = {str(number): name for number, name in enumerate(there)}
        if asked not in there and asked not in numbered:
            raise BadRequest(f"--dataset {asked}", f"{path} holds {', '.join(there)}", "name one of them")
        return asked if asked in there else numbered[asked]
    if len(there) == 1:
        return there[0]
    from dainr.io.scans.ismrmrd_file import holds_images

    return next((name for name in reversed(there) if holds_images(path, name)), there[-1])
