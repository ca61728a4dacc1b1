"""Scan files: one format a module, recognised by content.

Adding a format is one module with `NAME`, `TAKES`, `recognises(path)` and `read(path, options)`, and one entry in
`READERS`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dainr.errors import BadScan
from dainr.io.hdf5 import is_hdf5, is_held, unreadable
from dainr.io.scans import bart, ismrmrd, ismrmrd_stream, matlab, mrd_stream, native, twix
from dainr.io.scans.options import ReadOptions
from dainr.io.scans.said import as_said
from dainr.scan import Scan

# MATLAB's before others of HDF5: it has a name the native format has too
READERS = (matlab, native, ismrmrd, twix, ismrmrd_stream, mrd_stream, bart)
WRITERS: dict[str, Callable[[Scan, Path], None]] = {"native": native.write, "ismrmrd": ismrmrd.write}


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """Read the scan in a file of any known format, in this process, as the options say what the file does not.

    Raises BadScan when the file is missing, truncated, of no known format, holds no valid scan or one too large, and
    BadRequest for an option that its format does not take or that does not fit the scan.
    """
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "there is no such file"
            of_bart = path.with_name(f"{path.name}.cfl")
            raise BadScan(str(path), what, f"name {of_bart.name}" if of_bart.is_file() else "name a scan file")
        for reader in READERS:
            if reader.recognises(path):
                return read_by(reader, path, options)
    except MemoryError as error:
        raise BadScan(
            str(path), "what it says it holds does not fit in memory", "check the file, or use a larger machine"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    raise BadScan(
        str(path),
        "its content is of no format dainr reads",
        "give " + " or ".join(reader.NAME for reader in READERS) + " (see docs/formats.md)",
    )


def read_by(reader: Any, path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """Read the scan in a file of the format that a module reads, whatever its content looks like. Raises as `read`."""
    options.check_taken(reader.TAKES, reader.NAME, str(path))
    return _noted(as_said(reader.read(path, options), options), path)


def _noted(scan: Scan, path: Path) -> Scan:
    """The scan, with a note where another program may go on writing its file."""
    if not (is_hdf5(path) and is_held(path)):
        return scan
    return scan.changed(notes=(*scan.notes, "another program has the file open for writing: read as it is now"))
