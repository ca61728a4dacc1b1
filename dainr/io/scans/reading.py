"""Reading a scan in a process of its own.

The libraries below the readers, HDF5's above all, can crash or turn in circles on a damaged file; here that ends in one
sentence. And while the other process reads, this one has its hands free: a program imports what the fit needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dainr.errors import BadScan
from dainr.io.scans.options import ReadOptions
from dainr.io.scans.reader_process import MASK, SCAN, ReaderProcess, idle_process
from dainr.machine.checksum import file_sha256, files_sha256

if TYPE_CHECKING:  # what they take to import is time in which the other process reads
    import numpy as np
    from jaxtyping import Bool

    from dainr.scan import Scan

PATIENCE_S, BYTES_PER_S = 60.0, 5e6  # a sound file takes no longer than this and its size over a slow disk's rate
LOST = "its reader crashed or found no end: it is damaged, or too large for this machine"


class Reading:
    """A scan file that is being read, with what is said of it beside it."""

    def __init__(self, path: str | Path, reader: str = SCAN, options: ReadOptions | None = None) -> None:
        self.path = Path(path)
        self._process = idle_process() or ReaderProcess()
        self._process.ask(self.path, reader, *([] if options is None else [options]))

    def scan(self) -> Scan:
        """The scan, once it is there; to be asked for once.

        Raises BadScan when the file is missing, damaged, of no known format, or holds no valid scan, BadRequest for
        options that do not fit it.
        """
        return self.result()

    def result(self) -> Any:
        """What the reader returns, as `scan`."""
        try:
            size = self.path.stat().st_size
        except OSError:  # the other process tells why
            size = 0
        answer = self._process.answer(PATIENCE_S + size / BYTES_PER_S)
        if answer is None:
            raise BadScan(str(self.path), LOST, "copy or export it again")
        if isinstance(answer, BaseException):
            raise answer
        return answer


def scan_sha256(path: Path, options: ReadOptions = ReadOptions()) -> str:
    """SHA-256 of what a scan is read from: of its file, or of all of BART's and those that options name together."""
    from dainr.io.scans import bart  # here, as above

    files = [*(bart.files(path) if bart.recognises(path) else [path]), *options.files]
    return file_sha256(path) if files == [path] else files_sha256(files)


def load(path: str | Path, options: ReadOptions = ReadOptions()) -> Scan:
    """Read the scan in a file of any known format, as the options say what the file does not.

    Raises BadScan when the file is missing, damaged, of no known format, or holds no valid scan, BadRequest where there
    is no room for the temporary file that its arrays lie in, and for options that do not fit the scan.
    """
    return Reading(path, options=options).scan()


def load_mask(path: str | Path) -> Bool[np.ndarray, "x y frame"]:
    """A sampling mask, as `dainr.io.scans.mask.read_mask`, read like a scan."""
    return Reading(path, MASK).result()
