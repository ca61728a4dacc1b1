"""The folder of a session: the stream as it came, what was asked, and the runs; what a killed server leaves is there.

session.json   what was asked, and how far it is     stream.mrd   the messages as they came
run/           the run of the fit                    scan.h5      the scan as ISMRMRD, in place of the stream
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from dainr.errors import DainrError
from dainr.io.hdf5 import write_whole
from dainr.io.scans.ismrmrd_stream import to_hdf5
from dainr.machine.disk import room_for
from dainr.serve.asked import Order

log = logging.getLogger(__name__)

NOTES, STREAM, SCAN, RUN, PREVIEW = "session.json", "stream.mrd", "scan.h5", "run", "preview"
SLICES = "slices"  # on their way to the client: gone in the end
Status = Literal["receiving", "received", "done", "failed", "broken", "left", "empty"]
UNFINISHED = ("receiving", "received")


@dataclass(frozen=True)
class Notes:
    """What is known of a session."""

    status: Status = "receiving"
    order: Order = field(default_factory=Order)
    sha256: str = ""  # of the stream


class SessionFolder:
    """One session's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes = Notes()

    @classmethod
    def new(cls, root: Path) -> "SessionFolder":
        """A new one, named by the time."""
        stamp, number = time.strftime("%Y%m%dT%H%M%S"), 0
        while True:
            path = root / f"{stamp}_{number:03d}"
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
                continue
            return cls(path)

    @property
    def stream(self) -> Path:
        """The messages as they came."""
        return self.path / STREAM

    @property
    def slices(self) -> Path:
        """Slices that are made before the others."""
        return self.path / SLICES

    @property
    def name(self) -> str:
        """What the session is called."""
        return self.path.name

    def note(self, **changes: Any) -> None:
        """Write down what is known now. Raises NoRoom."""
        self.notes = replace(self.notes, **changes)
        with write_whole(self.path / NOTES) as temporary:
            temporary.write_text(json.dumps(asdict(self.notes), indent=1), encoding="utf-8")

    def store(self) -> None:
        """Keep the scan as ISMRMRD, as far as it goes, in place of the stream."""
        if self.stream.is_file():
            try:
                to_hdf5(self.stream, self.path / SCAN)
            except DainrError as error:  # then it is kept as it came
                log.warning("session %s: its scan is kept as it came: %s", self.name, error)
                return
            self.stream.unlink()

    def remove_slices(self) -> None:
        """Take away what was only on its way."""
        shutil.rmtree(self.slices, ignore_errors=True)

    def remove(self) -> None:
        """Take everything away."""
        shutil.rmtree(self.path, ignore_errors=True)


def unfinished(root: Path) -> Iterator[SessionFolder]:
    """The sessions that a server left in a folder before they were at an end, the oldest first."""
    for path in sorted(root.glob(f"*/{NOTES}")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content["order"] = Order(**content["order"])
            notes = Notes(**content)
        except (OSError, ValueError, TypeError, LookupError) as error:
            log.warning("%s: it cannot be read (%s): the session is left as it is", path, error)
            continue
        if notes.status in UNFINISHED and (path.parent / STREAM).is_file():
            folder = SessionFolder(path.parent)
            folder.notes = notes
            yield folder


class Recorder:
    """Bytes that go into a file and a checksum."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file, self._hash = path.open("wb", buffering=2**20), hashlib.sha256()

    def __call__(self, data: bytes) -> None:
        """Take more of them. Raises NoRoom."""
        with room_for(self._path):
            self._file.write(data)
            self._file.flush()  # for who follows the stream
        self._hash.update(data)

    def close(self) -> str:
        """The SHA-256 of all. Raises NoRoom."""
        with room_for(self._path):
            self._file.close()
        return self._hash.hexdigest()
