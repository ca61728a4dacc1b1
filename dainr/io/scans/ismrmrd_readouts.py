"""ISMRMRD acquisitions as a table: their heads are one structured array, so that 100,000 are looked at at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype
from jaxtyping import Bool, Complex, Float, Integer

from dainr.errors import BadScan


@dataclass(frozen=True, eq=False)
class Readouts:
    """Acquisitions in the order they were measured in."""

    head: np.ndarray  # structured, as the format has it
    data: list[np.ndarray]  # complex `coil sample` of each
    trajectory: list[np.ndarray]  # `sample component` of each

    @classmethod
    def collect(cls, acquisitions: "Iterable[ismrmrd.Acquisition] | Readouts") -> "Readouts":
        """The table of `ismrmrd.Acquisition`s."""
        if isinstance(acquisitions, Readouts):
            return acquisitions
        listed = list(acquisitions)
        heads = b"".join(bytes(a.getHead()) for a in listed)
        return cls(np.frombuffer(heads, acquisition_header_dtype), [a.data for a in listed], [a.traj for a in listed])

    @classmethod
    def joined(cls, parts: "Sequence[Readouts]") -> "Readouts":
        """The readouts of all parts, one part after another."""
        if len(parts) == 1:
            return parts[0]
        head = np.concatenate([part.head for part in parts])
        return cls(head, [a for part in parts for a in part.data], [a for part in parts for a in part.trajectory])

    def __len__(self) -> int:
        return len(self.head)

    def chosen(self, which: np.ndarray | slice) -> "Readouts":
        """Those of a mask, of indices or of a range."""
        numbers = np.arange(len(self))[which].tolist()
        return Readouts(self.head[which], [self.data[n] for n in numbers], [self.trajectory[n] for n in numbers])

    def flagged(self, *flags: int) -> Bool[np.ndarray, " readout"]:
        """Which carry any of these flags, numbered from one as the format numbers them."""
        return (self.head["flags"] & np.uint64(sum(1 << (flag - 1) for flag in flags))) != 0

    def counter(self, name: str) -> Integer[np.ndarray, " readout"]:
        """A counter of `idx`."""
        return self.head["idx"][name].astype(np.int64)

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Coils and samples of each."""
        return list(zip(self.head["active_channels"].tolist(), self.head["number_of_samples"].tolist(), strict=True))

    def stacked(self) -> Complex[np.ndarray, "readout coil sample"]:
        """Their samples, all of one shape."""
        return np.stack(self.data)

    def stacked_trajectory(self) -> Float[np.ndarray, "readout sample component"]:
        """Their trajectories, all of one shape."""
        return np.stack(self.trajectory)

    def turned(self) -> Bool[np.ndarray, " readout"]:
        """Which were measured backwards."""
        return self.flagged(ismrmrd.ACQ_IS_REVERSE)

    def check_same(self, name: str, where: str) -> None:
        """Raises BadScan where those of one direction differ in what their heads say by this name."""
        values, turned = self.head[name], self.turned()
        if any(len(np.unique(values[turned == way])) > 1 for way in (False, True)):
            raise BadScan(where, f"its readouts differ in {name}: {np.unique(values).tolist()}", "export one protocol")
