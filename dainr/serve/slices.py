"""Slices that are made, on their way from the process that fits to the one that sends: two files each."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from dainr.assess.describe import describe
from dainr.assess.verdict import judge
from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.hdf5 import write_whole
from dainr.io.images.cine import read_cine, write_cine
from dainr.methods.slices import MadeSlice, cine_of
from dainr.scan import Scan
from dainr.serve.images import unit_of


@dataclass(frozen=True)
class About:
    """What is said of the images of a slice."""

    method: str
    comment: Sequence[str]
    unit_s: float  # of the scan's time stamps


def write_slice(folder: Path, index: int, scan: Scan, made: MadeSlice, method: str) -> None:
    """Write a slice, given with a scan of it alone; the second file says that the first is whole. Raises NoRoom.

    One that is there stays: it may have been sent, and is compared with what the run makes of it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if index in written(folder):
        return
    facts = describe(scan)
    overall, *_ = judge({"slices": [made.record], "scan": facts})
    about = About(method, [f"slice {index}, {overall.level}: {overall.text}"], unit_of({"scan": facts}))
    cine = cine_of(scan, made.images[None], made.frame_times, made.record)
    errors = {} if made.error_map is None else {"error_map": made.error_map[None]}
    write_cine(cine, folder / f"{index:04d}.h5", "", **errors)
    with write_whole(folder / f"{index:04d}.json") as temporary:
        temporary.write_text(json.dumps(asdict(about)), encoding="utf-8")


def written(folder: Path) -> list[int]:
    """The numbers of the slices that are there."""
    return sorted(int(path.stem) for path in folder.glob("*.json") if path.stem.isdecimal())


def read_slice(folder: Path, index: int) -> tuple[Cine, np.ndarray | None, About]:
    """The images of a slice, its error map where it has one, and what is said of them. Raises BadScan."""
    cine, beside = read_cine(folder / f"{index:04d}.h5")
    path = folder / f"{index:04d}.json"
    try:
        about = About(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadScan(str(path), f"it cannot be read ({error})", "send the scan again") from error
    return cine, beside.get("error_map"), about
