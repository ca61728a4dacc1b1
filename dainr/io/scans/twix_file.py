"""What is in a twix file: its measurements, and of each the protocol and the readouts, by twixtools.

From software VD on a file may hold several measurements, adjustments before the images; VB's hold one.
"""

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import twixtools.mdb
import twixtools.twixprot

from dainr.errors import BadRequest, BadScan

TABLE = 8, 152  # bytes before the table of measurements, and of an entry in it
NAMES = slice(88, 152)  # of the protocol, in an entry
SMALLEST = 128  # bytes of a readout's header
FIX = "copy it again from the scanner"
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, NameError, struct.error)


@dataclass(frozen=True)
class Measurement:
    """One measurement of a file."""

    path: Path
    number: int  # from 0
    of: int
    start: int  # bytes
    end: int
    is_ve: bool  # software VD or later
    listed_name: str

    @property
    def where(self) -> str:
        """Its place, for errors."""
        return f"{self.path}, measurement {self.number}" if self.of > 1 else str(self.path)

    @cached_property
    def protocol(self) -> dict[str, Any]:
        """The protocol, by the names of its parts. Raises BadScan where it cannot be read."""
        with _readable(self), self.path.open("rb") as file, contextlib.redirect_stdout(io.StringIO()):
            file.seek(self.start)
            return twixtools.twixprot.parse_twix_hdr(file)

    @property
    def name(self) -> str:
        """The protocol's name."""
        told = self.protocol.get("MeasYaps") or {}
        return str(told.get("tProtocolName") or self.listed_name).replace("%20", " ")

    def readouts(self) -> Iterator[Any]:
        """The readouts, twixtools' measurement data blocks, with their data on call. Raises BadScan at damage."""
        with _readable(self), self.path.open("rb") as file:
            file.seek(self.start)
            place = self.start + struct.unpack("<I", file.read(4))[0]
            while place + SMALLEST <= self.end:
                file.seek(place)
                block = twixtools.mdb.Mdb(file, self.is_ve)
                if block.is_flag_set("ACQEND"):
                    return
                length = int(block.dma_len)
                if length < SMALLEST or place + length > self.end:
                    raise ValueError(f"a readout of {length} bytes at byte {place}")
                if not block.is_flag_set("SYNCDATA"):
                    yield block
                place += length


def measurements(path: Path) -> list[Measurement]:
    """The measurements of a file, in its order. Raises BadScan where the file ends before one of them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first, count = struct.unpack("<II", file.read(8))
        if first >= 10000 or not 1 <= count <= 64:  # as recognised
            return [Measurement(path, 0, 1, 0, size, False, "")]
        table = file.read(count * TABLE[1])
    found = []
    for number in range(count):
        entry = table[number * TABLE[1] : (number + 1) * TABLE[1]]
        start, length = struct.unpack("<QQ", entry[8:24])
        name = entry[NAMES].split(b"\0")[0].decode("latin1")
        end = start + length if length else size
        if end > size:
            why = f"it is truncated: it holds {size / 1e6:.1f} of {end / 1e6:.1f} MB"
            raise BadScan(str(path), why, FIX)
        found.append(Measurement(path, number, count, start, end, True, name))
    return found


def chosen_measurement(found: list[Measurement], asked: str | None, notes: list[str]) -> Measurement:
    """The last measurement, or the one whose number (from 0) or name was asked for.

    Raises BadRequest where there is none, or several of that name.
    """
    if asked is None:
        chosen = found[-1]
    else:
        those = [one for one in found if asked in (str(one.number), one.name)]
        if len(those) != 1:
            there = ", ".join(f"{one.number} ({one.name})" for one in found)
            what = "there is no such measurement" if not those else "several measurements have that name"
            raise BadRequest(f"--dataset {asked}", what, f"choose one of {there}")
        chosen = those[0]
    if len(found) > 1:
        last = ", the last" if asked is None else ""
        note = f"measurement {chosen.number} ({chosen.name}) of {len(found)}{last}"
        notes.append(note if asked is not None else f"{note}: --dataset chooses another")
    return chosen


@contextlib.contextmanager
def _readable(measurement: Measurement) -> Iterator[None]:
    """Raises BadScan for what twixtools raises where a file is damaged."""
    try:
        with np.errstate(all="ignore"):  # sizes that are nonsense are told by their sum
            yield
    except UNREADABLE as error:
        raise BadScan(measurement.where, f"it is damaged ({error})", FIX) from error
