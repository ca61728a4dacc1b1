"""A scan that is read while it is sent: slices that are complete are made while others arrive.

Each is prepared and fitted from a scan of the complete slices alone. Once all is there it is checked, by their bytes,
that the whole scan has the same readouts, frames and times for it; else it is made anew.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import ismrmrd
import numpy as np

from dainr.errors import BadScan, DainrError
from dainr.io.scans import formats, ismrmrd_stream
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_build import build_scan
from dainr.io.scans.ismrmrd_messages import Document, Messages
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.ismrmrd_slices import by_slice
from dainr.io.scans.options import ReadOptions
from dainr.machine.kept import digest
from dainr.methods import Method
from dainr.methods.slices import BesideRun, MadeSlice
from dainr.prepare.binning import Binning
from dainr.scan import OF_A_SLICE, Scan
from dainr.serve.complete import SlicesSeen, is_imaging

log = logging.getLogger(__name__)

LOOK_S, CALLED_OFF_WITHIN_S = 0.01, 2.0
RESOLVED_AFTER_S = 0.5  # since the first readout: a scan that goes on so long will go on
OF_READOUTS = ("trajectory", "times", "frame", "phase", "copy_of", "density")

Tell = Callable[[Scan, int, MadeSlice], None]


class CalledOff(Exception):
    """The stream does not come to its end: nobody waits for the scan any more."""


class Following:
    """The scan in a stream that grows until its close message.

    `tell` hears of every slice that is made, with a scan of that slice alone and the slice's number in the whole scan.
    `is_called_off` says whether the stream will not come to its end.
    """

    def __init__(
        self,
        stream: Path,
        reading: ReadOptions,
        binning: Binning,
        method: Method,
        tell: Tell,
        is_called_off: Callable[[], bool] = lambda: False,
    ) -> None:
        self.sha256 = ""
        self._is_called_off = is_called_off
        self._stream, self._reading, self._binning = stream, reading, binning
        self._method, self._tell, self._config = method, tell, None
        self._document, self._acquisitions = b"", list[Any]()
        self._seen, self._first_at = SlicesSeen(b""), 0.0
        self._made, self._marks = dict[int, MadeSlice](), dict[int, Hashable]()
        self._told = set[int]()
        self._resolved = self._given_up = False

    def scan(self, config: Any) -> Scan:
        """The whole scan in frames, once all of it is there; slices are made by this config while it comes.

        Raises what reading a stream does, and CalledOff.
        """
        self._asked, sha256 = config, hashlib.sha256()
        try:
            with self._stream.open("rb") as file:
                for item in Messages(Growing(file, self._idle), str(self._stream), copy=sha256.update):
                    self._take(item)
        except BadScan:
            self._expect_to_be_called_off()
            raise
        self.sha256 = sha256.hexdigest()
        scan = self._read(self._acquisitions)
        self._acquisitions = []
        return scan

    def _take(self, item: Any) -> None:
        """Take a message of the stream."""
        if isinstance(item, Document):
            self._document = bytes(item)
            self._seen = SlicesSeen(self._document)
        elif isinstance(item, ismrmrd.Acquisition):
            self._first_at = self._first_at or time.monotonic()
            self._acquisitions.append(item)
            self._seen.take(item)

    def _expect_to_be_called_off(self) -> None:
        """A stream that is damaged: who receives it sees that, too."""
        ends_at = time.monotonic() + CALLED_OFF_WITHIN_S
        while time.monotonic() < ends_at:
            if self._is_called_off():
                raise CalledOff
            time.sleep(LOOK_S)

    def beside(self, scan: Scan) -> BesideRun:
        """What of the whole scan is made already, and who hears of the rest."""
        same = {index: made for index, made in self._made.items() if self._is_same(scan, index)}
        if len(same) < len(self._made):
            log.info("%d of %d slices are made anew: what came later changed them", len(same), len(self._made))

        def tell(index: int, made: MadeSlice) -> None:
            if scan.n_slices > 1 and index not in self._told:
                try:
                    self._tell(scan.select_slices([index]), index, made)
                except DainrError as error:  # they are sent with the others
                    log.info("images of slice %d wait for the others: %s", index, error)

        return BesideRun(same, self._config, tell)

    def _is_same(self, scan: Scan, index: int) -> bool:
        return index < scan.n_slices and mark(scan, index) == self._marks[index]

    def _read(self, acquisitions: Sequence[Any]) -> Scan:
        where, document = str(self._stream), self._document
        reader = SimpleNamespace(
            NAME=ismrmrd_stream.NAME,
            TAKES=ismrmrd_stream.TAKES,
            read=lambda path, options: build_scan(document, acquisitions, where, options=options),
        )
        if not document:
            raise BadScan(where, "it holds no header", "send or copy it again")
        return self._binning.applied(formats.read_by(reader, self._stream, self._reading))

    def _idle(self) -> None:
        """What there is to do until more comes. Nothing counts that goes wrong here: the whole scan will tell."""
        if self._is_called_off():
            raise CalledOff
        if not self._first_at:
            return
        try:
            complete = [] if self._given_up else self._seen.complete()
            left = [number for number in complete if number - self._seen.first not in self._made]
            if left and self._seen.first in complete and self._binning.slices is None:
                self._make(left[0], complete)
        except Exception as error:
            log.info("slices wait for the end of the scan: %s", error)
            self._given_up = True
        if not self._resolved and time.monotonic() - self._first_at > RESOLVED_AFTER_S:
            self._resolved = True
            with suppress(Exception):
                self._method.resolve(self._read(self._acquisitions), self._asked)  # which keeps what it finds

    def _make(self, number: int, complete: list[int]) -> None:
        """Make a slice of those that are complete."""
        if len(set(np.diff(complete).tolist())) > 1:  # of an uneven stack it is not known where they lie
            return
        chosen = [a for a in self._acquisitions if not is_imaging(a) or a.idx.slice in complete]
        scan = self._read(chosen)
        if scan.n_slices != len(complete) or scan.planes is not None or not self._are_in_order(scan):
            self._given_up = True
            return
        if self._config is None:
            self._config, _ = self._method.resolve(scan, self._asked)
        index, place = complete.index(number), number - self._seen.first
        made = self._method.make(scan, index, self._config, place=(place, self._seen.count))
        self._made[place], self._marks[place] = made, mark(scan, index)
        self._told.add(place)
        self._tell(scan.select_slices([index]), place, made)

    def _are_in_order(self, scan: Scan) -> bool:
        """Whether the slices that have begun lie one above another as they are numbered."""
        firsts = {a.idx.slice: a for a in reversed(self._acquisitions) if is_imaging(a)}
        pixel_mm = min(fov / n for fov, n in zip(scan.fov_mm, scan.matrix, strict=True))
        parts = by_slice(Readouts.collect([firsts[number] for number in sorted(firsts)]), pixel_mm, Decisions())
        return [int(part.counter("slice")[0]) for part in parts] == sorted(firsts)


class Growing:
    """A file that another process writes, read as it grows; `idle` is called where there is nothing new."""

    def __init__(self, file: BinaryIO, idle: Callable[[], None]) -> None:
        self._file, self._idle = file, idle

    def read(self, size: int) -> bytes:
        """So many bytes, once they are there."""
        data = self._file.read(size)
        while len(data) < size:
            self._idle()
            more = self._file.read(size - len(data))
            if not more:
                time.sleep(LOOK_S)
            data += more
        return data


def mark(scan: Scan, index: int) -> Hashable:
    """What making a slice reads of a scan, in short; the times of the first slice are those of all."""
    used, of_first = scan.used[index], scan.used[0]
    of_slice: list[Any] = [scan.kspace[index][:, used]]
    for name in OF_A_SLICE:
        array = getattr(scan, name)
        if name not in ("kspace", "planes", "reference") and array is not None:
            of_slice.append((name, array[index][used] if name in OF_READOUTS else array[index]))
    of_scan = (scan.noise, scan.matrix, scan.fov_mm, scan.n_frames, scan.is_cartesian, scan.cyclic)
    assert scan.frame is not None
    return digest((*of_slice, *of_scan, scan.times[0][of_first], scan.frame[0][of_first]))
