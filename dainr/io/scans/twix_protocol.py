"""Numbers in the protocol of a twix file, by the names of Siemens; what is not there or no number is None."""

from typing import Any

import numpy as np

from dainr.errors import BadScan
from dainr.io.scans.twix_file import FIX, Measurement

SLICE = ("sSliceArray", "asSlice", 0)  # the branch of the first slice


class Protocol:
    """What the protocol of a measurement says: in branches as the scanner's dialogue has them, and in a flat part."""

    def __init__(self, measurement: Measurement) -> None:
        parts = measurement.protocol
        self.where = measurement.where
        self._branches = parts.get("MeasYaps") or parts.get("Phoenix")
        self._flat = {**parts.get("Dicom", {}), **parts.get("Meas", {})}

    def told(self, *path: str | int) -> float | None:
        """The number at the end of a path through the branches."""
        value: Any = self._branches
        for step in path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return _number(value)

    def needed(self, *path: str | int) -> float:
        """As `told`. Raises BadScan where it is not there, or not positive."""
        value = self.told(*path)
        if value is None or value <= 0:
            name = ".".join(str(step) for step in path if isinstance(step, str))
            raise BadScan(self.where, f"its protocol tells no {name}", FIX)
        return value

    def flat(self, name: str) -> float | None:
        """A number of the flat part, or the first of an array."""
        value = self._flat.get(name)
        return _number(value[0] if isinstance(value, list) and value else value)


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
