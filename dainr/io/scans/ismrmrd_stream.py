"""ISMRMRD streams in files, as `ismrmrd_hdf5_to_stream` writes them and a server keeps what it receives.

Configurations, texts and waveforms in them are left aside; the header and the readouts are those of ISMRMRD files.
"""

from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from dainr.errors import BadScan
from dainr.io.hdf5 import new_sink, write_whole
from dainr.io.scans import ismrmrd as ismrmrd_files
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

NAME = "an ISMRMRD stream"
TAKES = ismrmrd_files.TAKES - {"dataset"}
CONFIG_FILE, CONFIG_TEXT, HEADER = ((number).to_bytes(2, "little") for number in (1, 2, 3))
OF_A_CONFIG_FILE, LOOKED_AT = 1024, 4096
ROOT = b"ismrmrdHeader"


def recognises(path: Path) -> bool:
    """Whether the file begins with a header as the protocol has it, or a configuration and a header."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if start.startswith(CONFIG_FILE):
        start = start[len(CONFIG_FILE) + OF_A_CONFIG_FILE :]
    elif start.startswith(CONFIG_TEXT):
        start = start[6 + int.from_bytes(start[2:6], "little") :]
    return start.startswith(HEADER) and ROOT in start


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in a stream. Raises BadScan when it is damaged, ends early, and as `build_scan`."""
    import ismrmrd

    from dainr.io.scans.ismrmrd_build import build_scan
    from dainr.io.scans.ismrmrd_messages import Document, StreamEnded

    document, acquisitions = None, list[Any]()
    try:
        for item in messages(path):
            if isinstance(item, Document):
                document = item
            elif isinstance(item, ismrmrd.Acquisition):
                acquisitions.append(item)
    except StreamEnded as error:
        raise BadScan(str(path), str(error), "send or copy it again") from error
    if document is None:
        raise BadScan(str(path), "it holds no header", "send or copy it again")
    return build_scan(bytes(document), acquisitions, str(path), options=options)


def messages(path: Path) -> Iterator[Any]:
    """What is in a stream. Raises what `Messages` does."""
    from dainr.io.scans.ismrmrd_messages import Messages

    with path.open("rb") as file:
        yield from Messages(file, str(path))


def to_hdf5(stream: Path, path: Path) -> int:
    """Write what is in a stream as an ISMRMRD file, as far as the stream goes; how many readouts there are.

    Raises BadScan where it is damaged, and NoRoom.
    """
    import h5py
    import ismrmrd
    import numpy as np
    from ismrmrd.hdf5 import acquisition_dtype

    from dainr.io.scans.ismrmrd_messages import Document, StreamEnded
    from dainr.io.scans.ismrmrd_write import GROUP, WRITTEN_AT_A_TIME, row

    beside: list[Any] = []  # the header and waveforms

    def readouts() -> Iterator[Any]:
        with suppress(StreamEnded):
            for item in messages(stream):
                if isinstance(item, ismrmrd.Acquisition):
                    yield row(item)
                elif isinstance(item, Document | ismrmrd.Waveform):
                    beside.append(item)

    with write_whole(path, stream.stat().st_size) as temporary, new_sink(temporary) as sink:
        with h5py.File(sink, "w") as file:
            stored = file.create_dataset(f"{GROUP}/data", (0,), maxshape=(None,), dtype=acquisition_dtype)
            rows = readouts()
            while some := list(islice(rows, WRITTEN_AT_A_TIME)):
                stored.resize(len(stored) + len(some), axis=0)
                stored[-len(some) :] = np.array(some, acquisition_dtype)
            count = len(stored)
        with closing(ismrmrd.Dataset(sink, GROUP)) as dataset:
            for item in beside:
                if isinstance(item, Document):
                    dataset.write_xml_header(bytes(item))
                else:
                    dataset.append_waveform(item)
    return count
