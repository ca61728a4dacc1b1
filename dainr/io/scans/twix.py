"""Siemens raw data (twix, .dat), read by twixtools, an optional package that takes a while to import.

`twix_file` tells what is in one, `twix_header` and `twix_readouts` make ISMRMRD's header and acquisitions of it, whose
reader makes the scan. So the rules of ISMRMRD files are those of these files, too.
"""

import importlib.util
import re
import struct
from pathlib import Path

from dainr.errors import MissingBackend
from dainr.io.scans import ismrmrd
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

NAME = "a Siemens twix file (.dat)"
TAKES = ismrmrd.TAKES | {"dataset"}
LARGEST_COUNT, LARGEST_ID = 64, 10000  # of measurements in a file, and of the first number in it: VD and later
LARGEST_BUFFERS = 32  # of a measurement's header


def recognises(path: Path) -> bool:
    """Whether the file begins as Siemens' raw data do: with a measurement's header, or with a table of them."""
    with path.open("rb") as file:
        start = file.read(24)
        if len(start) < 24:
            return False
        first, count, _, _, offset = struct.unpack("<IIIIQ", start)
        offset = offset if first < LARGEST_ID and 1 <= count <= LARGEST_COUNT else 0
        if offset > path.stat().st_size:
            return False
        file.seek(offset)
        header = file.read(32)
    buffers = int.from_bytes(header[4:8], "little")
    return 1 <= buffers <= LARGEST_BUFFERS and re.match(rb"[A-Za-z]\w{3,}\0", header[8:]) is not None


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in a twix file, of its last measurement or of the one that `dataset` names.

    Raises MissingBackend without twixtools, BadScan when the file is damaged and where `build_scan` does, BadRequest
    where there is no such measurement.
    """
    if importlib.util.find_spec("twixtools") is None:
        raise MissingBackend(
            str(path), "reading Siemens raw data needs twixtools", 'run: pip install "dainr[twix]", or convert it'
        )
    from dainr.io.scans.ismrmrd_build import build_scan
    from dainr.io.scans.twix_file import chosen_measurement, measurements
    from dainr.io.scans.twix_header import ismrmrd_header
    from dainr.io.scans.twix_readouts import acquisitions, borrowed_noise

    where, notes = str(path), list[str]()
    found = measurements(path)
    chosen = chosen_measurement(found, options.dataset, notes)
    header = ismrmrd_header(chosen, notes)
    readouts = acquisitions(chosen, notes)
    readouts = borrowed_noise(found, chosen, readouts, notes) + readouts
    scan = build_scan(header, readouts, where, options=options)
    return scan.changed(notes=(*notes, *scan.notes))
