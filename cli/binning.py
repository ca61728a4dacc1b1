"""The slices, frames and matrix that a command was asked for: kept as they were given, and applied to a scan."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dainr.errors import BadRequest

from .options import parse_matrix, parse_slices

if TYPE_CHECKING:
    from dainr.scan import Scan

WAYS = ("spokes_per_frame", "frames_per_cycle", "frames")


def as_given(
    spokes_per_frame: int | None,
    every: int | None,
    frames_per_cycle: int | None,
    respiratory_bins: int | None,
    frames: Path | None,
    slices: str | None,
    matrix: str | None,
) -> dict[str, Any]:
    """What was given of them, ready for TOML."""
    options: dict[str, Any] = {"spokes_per_frame": spokes_per_frame, "every": every}
    options |= {"frames_per_cycle": frames_per_cycle, "respiratory_bins": respiratory_bins}
    options |= {"frames": None if frames is None else str(frames), "slices": slices, "matrix": matrix}
    return {key: value for key, value in options.items() if value is not None}


def binned(scan: "Scan", binning: dict[str, Any]) -> "Scan":
    """The scan with the slices, frames and matrix that were asked for. Raises BadRequest for contradictory binnings."""
    from dainr.prepare.resize import resize_matrix

    chosen = parse_slices(binning.get("slices"))
    if chosen is not None:
        scan = scan.select_slices(chosen)
    scan = _in_frames(scan, binning)
    matrix = parse_matrix(binning.get("matrix"))
    return scan if matrix is None else resize_matrix(scan, matrix)


def _in_frames(scan: "Scan", binning: dict[str, Any]) -> "Scan":
    from dainr.prepare.frames import bin_given, bin_phases, bin_spokes, frames_as_stored, read_frame_list

    ways = [key for key in WAYS if key in binning]
    if len(ways) > 1:
        raise BadRequest(
            "frames",
            "they are asked for in several ways",
            "give one of --spokes-per-frame, --frames-per-cycle, --frames",
        )
    if "every" in binning and "spokes_per_frame" not in ways:
        raise BadRequest("--every", "only frames of so many readouts slide over them", "add --spokes-per-frame")
    if "respiratory_bins" in binning and "frames_per_cycle" not in ways:
        raise BadRequest(
            "--respiratory-bins", "only frames of the cardiac cycle have room for it", "add --frames-per-cycle"
        )
    if not ways:
        return frames_as_stored(scan)
    asked = binning[ways[0]]
    if ways[0] == "spokes_per_frame":
        return bin_spokes(scan, asked, binning.get("every"))
    if ways[0] == "frames_per_cycle":
        return bin_phases(scan, asked, binning.get("respiratory_bins", 1))
    return bin_given(scan, read_frame_list(Path(asked)))
