"""ISMRMRD acquisitions sorted: imaging readouts, noise measurements, and what a cine has no use for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import ismrmrd

from dainr.errors import BadScan
from dainr.io.scans.ismrmrd_trajectory import check_same

NOISE = ismrmrd.ACQ_IS_NOISE_MEASUREMENT
SKIPPED = {
    ismrmrd.ACQ_IS_PARALLEL_CALIBRATION: "parallel-imaging calibration",
    ismrmrd.ACQ_IS_NAVIGATION_DATA: "navigator",
    ismrmrd.ACQ_IS_PHASECORR_DATA: "phase correction",
    ismrmrd.ACQ_IS_HPFEEDBACK_DATA: "feedback",
    ismrmrd.ACQ_IS_RTFEEDBACK_DATA: "feedback",
    ismrmrd.ACQ_IS_DUMMYSCAN_DATA: "dummy",
    ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA: "surface-coil correction",
    ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE: "phase stabilisation",
    ismrmrd.ACQ_IS_PHASE_STABILIZATION: "phase stabilisation",
}


@dataclass
class Readouts:
    """Acquisitions by what they are for, in the order they were measured in."""

    imaging: list[Any] = field(default_factory=list)
    noise: list[Any] = field(default_factory=list)
    skipped: dict[str, int] = field(default_factory=dict)  # how many of a kind


def sort_readouts(acquisitions: Iterable[Any]) -> Readouts:
    """Acquisitions sorted by their flags and counters."""
    readouts = Readouts()
    for acquisition in acquisitions:
        if acquisition.is_flag_set(NOISE):
            readouts.noise.append(acquisition)
        elif (reason := _reason_to_skip(acquisition)) is not None:
            readouts.skipped[reason] = readouts.skipped.get(reason, 0) + 1
        else:
            readouts.imaging.append(acquisition)
    return readouts


def _reason_to_skip(acquisition: Any) -> str | None:
    for flag, kind in SKIPPED.items():
        if acquisition.is_flag_set(flag):
            return kind
    if acquisition.encoding_space_ref != 0:
        return "other encoding space's"
    return "further contrast or set" if acquisition.idx.contrast or acquisition.idx.set else None


def check_alike(acquisitions: list[Any], where: str) -> None:
    """Raises BadScan where imaging readouts differ in what all must share, or are encoded in three dimensions."""
    shapes = {a.data.shape for a in acquisitions}
    if len(shapes) > 1:
        raise BadScan(
            where, f"its readouts have different sizes (coil, sample): {sorted(shapes)}", "export one protocol"
        )
    if 0 in next(iter(shapes)):
        raise BadScan(where, "its readouts hold no samples", "export it again")
    for name in ("discard_pre", "discard_post"):
        check_same(name, acquisitions, where)
    if any(a.idx.kspace_encode_step_2 for a in acquisitions):
        raise BadScan(where, "it is encoded in three dimensions", "reconstruct stacks of 2-D slices, one file each")


def by_slice(acquisitions: list[Any]) -> list[list[Any]]:
    """The readouts of each slice, slices in the order of their numbers."""
    slices: dict[int, list[Any]] = {}
    for acquisition in acquisitions:
        slices.setdefault(acquisition.idx.slice, []).append(acquisition)
    return [slices[number] for number in sorted(slices)]


def of_one_length(slices: list[list[Any]], notes: list[str]) -> list[list[Any]]:
    """The first readouts of every slice, as many as the shortest has: nothing says which belong together."""
    shortest, longest = min(map(len, slices)), max(map(len, slices))
    if shortest < longest:
        notes.append(f"slices have from {shortest} to {longest} readouts: the first {shortest} of each are used")
    return [acquisitions[:shortest] for acquisitions in slices]
