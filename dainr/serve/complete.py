"""Which slices of a scan are complete while its readouts still arrive: by their flags and the limits in its header."""

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import ismrmrd

from dainr.io.scans.ismrmrd_sorting import CALIBRATION, FEEDBACK, IMAGE_TOO, NOISE, SKIPPED

LAST = ismrmrd.ACQ_LAST_IN_SLICE, ismrmrd.ACQ_LAST_IN_MEASUREMENT
# what a slice is measured for again and again, where the header says so
COUNTERS = ("phase", "repetition", "set", "contrast", "average")
LIMITS = ("slice", "kspace_encoding_step_2", *COUNTERS)


class SlicesSeen:
    """The slices that have begun, by the readouts of images so far.

    A slice is complete once the next has begun, if its last readout was flagged as that of a slice, and if all phases,
    repetitions, sets, contrasts and averages in the header's limits were measured of it. Where the header has no limits
    of slices, where there are partitions, and once the scan has returned to a slice, none is said to be complete.
    """

    def __init__(self, document: bytes) -> None:
        self.returns = False  # the scan has come back to a slice
        self._limits = dict(_limits(document))
        self._begun: dict[int, dict[str, set[int]]] = {}  # values of counters, by the slice's number
        self._ends_with_last: dict[int, bool] = {}
        self._now: int | None = None

    @property
    def first(self) -> int:
        """The number of the first slice."""
        return self._limits["slice"][0]

    @property
    def count(self) -> int:
        """How many slices the header tells; 0 where it does not."""
        first, last = self._limits.get("slice", (0, -1))
        return last - first + 1

    @property
    def begun(self) -> list[int]:
        """The numbers of the slices that have begun, in that order."""
        return list(self._begun)

    def take(self, readout: Any) -> None:
        """Look at another readout."""
        if not is_imaging(readout):
            return
        number = int(readout.idx.slice)
        if number != self._now:
            self.returns |= number in self._begun
            self._begun.setdefault(number, defaultdict(set))
            self._now = number
        for name in COUNTERS:
            self._begun[number][name].add(int(getattr(readout.idx, name)))
        self._ends_with_last[number] = any(readout.is_flag_set(flag) for flag in LAST)

    def complete(self) -> list[int]:
        """The numbers of the slices that are known to be complete, ascending."""
        first_z, last_z = self._limits.get("kspace_encoding_step_2", (0, 0))
        if self.returns or self.count < 2 or first_z != last_z:
            return []
        inside = range(self.first, self.first + self.count)
        if not set(self._begun) <= set(inside):
            return []
        return sorted(number for number in self._begun if number != self._now and self._is_whole(number))

    def _is_whole(self, number: int) -> bool:
        if not self._ends_with_last[number]:
            return False
        for name, seen in self._begun[number].items():
            first, last = self._limits.get(name, (0, 0))
            if seen != set(range(first, last + 1)) and (len(seen) > 1 or first != last):
                return False
        return True


def is_imaging(readout: Any) -> bool:
    """Whether a readout is of an image, by its flags."""
    if readout.is_flag_set(NOISE) or readout.encoding_space_ref:
        return False
    if readout.is_flag_set(IMAGE_TOO):
        return True
    others = (CALIBRATION, *FEEDBACK, *(flag for flags in SKIPPED.values() for flag in flags))
    return not any(readout.is_flag_set(flag) for flag in others)


def _limits(document: bytes) -> Iterator[tuple[str, tuple[int, int]]]:
    """The encoding limits in a header, by their names; none of what is no header."""
    with suppress(ET.ParseError, ValueError):
        root = ET.fromstring(document.strip(b"\0 \r\n\t"))
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        found = root.find("encoding/encodingLimits")
        for name in LIMITS if found is not None else ():
            with suppress(ValueError):
                assert found is not None
                limits = [int(found.findtext(f"{name}/{end}") or "") for end in ("minimum", "maximum")]
                yield name, (limits[0], limits[1])
