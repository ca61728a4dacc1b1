"""What is asked of a scan before it is prepared: which slices, how its readouts become frames, and which matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest
from dainr.prepare.frames import bin_given, bin_phases, bin_spokes, frames_as_stored, read_frame_list
from dainr.prepare.resize import resize_matrix
from dainr.scan import Scan


@dataclass(frozen=True)
class Binning:
    """Slices, frames and matrix as they were asked for; what is None stays as the file has it.

    At most one of `spokes_per_frame`, `frames_per_cycle` and `frames` makes the frames: so many consecutive readouts,
    phases of the cardiac cycle, or a text file with the frame number of every readout. With `every`, frames of
    `spokes_per_frame` readouts overlap: one begins every so many readouts. With `respiratory_bins`, only readouts of
    the bin where the chest rests go into `frames_per_cycle` phases. `matrix` is (ny, nx). Raises BadRequest where two
    contradict.
    """

    spokes_per_frame: int | None = None
    every: int | None = None
    frames_per_cycle: int | None = None
    respiratory_bins: int | None = None
    frames: Path | None = None
    slices: tuple[int, ...] | None = None
    matrix: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        ways = {
            "--spokes-per-frame": self.spokes_per_frame,
            "--frames-per-cycle": self.frames_per_cycle,
            "--frames": self.frames,
        }
        given = [option for option, value in ways.items() if value is not None]
        if len(given) > 1:
            raise BadRequest(" and ".join(given), "each of them makes the frames", "give one of them")
        if self.every is not None and self.spokes_per_frame is None:
            raise BadRequest("--every", "only frames of so many readouts can overlap", "add --spokes-per-frame")
        if self.respiratory_bins is not None and self.frames_per_cycle is None:
            raise BadRequest(
                "--respiratory-bins",
                "breathing is sorted only for frames of the cardiac cycle",
                "add --frames-per-cycle",
            )

    def applied(self, scan: Scan) -> Scan:
        """The scan with these slices, frames and matrix, its readouts in the order of their frames.

        Raises BadRequest for what the scan cannot give, and BadScan when neither it nor the binning has frames.
        """
        if self.slices is not None:
            scan = scan.select_slices(list(self.slices))
        scan = self._in_frames(scan)
        return scan if self.matrix is None else resize_matrix(scan, self.matrix)

    def _in_frames(self, scan: Scan) -> Scan:
        if self.spokes_per_frame is not None:
            return bin_spokes(scan, self.spokes_per_frame, self.every)
        if self.frames_per_cycle is not None:
            return bin_phases(
                scan, self.frames_per_cycle, 1 if self.respiratory_bins is None else self.respiratory_bins
            )
        if self.frames is not None:
            return bin_given(scan, read_frame_list(self.frames))
        return frames_as_stored(scan)

    def as_dict(self) -> dict[str, Any]:
        """What was asked for, ready for TOML and JSON: slices and matrix as the command line takes them."""
        texts = {
            "frames": None if self.frames is None else str(self.frames),
            "slices": None if self.slices is None else _ranges(self.slices),
            "matrix": None if self.matrix is None else "x".join(map(str, dict.fromkeys(self.matrix))),
        }
        return {name: value for name, value in (vars(self) | texts).items() if value is not None}


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers as "0-3" or "0,2"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
