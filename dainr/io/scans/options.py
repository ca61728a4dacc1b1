"""What a user says of a scan file that the file does not say itself.

A reader names in its `TAKES` which of these it understands; those in `OF_ANY_SCAN` are applied to what any reader gives
(`said`). Nothing here imports numpy: who asks for a scan need not wait for it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest

OF_ANY_SCAN = frozenset({"pixel_mm", "slice_mm", "frame_ms", "readout_ms", "affine", "coil_maps", "density"})
FILES = frozenset({"affine", "coil_maps", "density"})  # options that name a file
SCHEMES = r"golden|tiny-golden:[1-9]\d{0,2}|linear(:(180|360))?"  # of spokes without a trajectory
TIME_UNITS = {  # as readers name them
    "2.5ms": "ticks of 2.5 ms",
    "ms": "ms",
    "us": "us",
    "0.1ms": "ticks of 0.1 ms",
    "10us": "ticks of 10 us",
}
OF_PIXELS = {
    "cycles": "cycles per {}pixel",
    "radians": "radians per {}pixel",
    "fov": "cycles per {}field of view",
    "normalized": "half-widths of {}k-space, from -1 to 1",
}
TRAJECTORY_UNITS = {
    **{name: words.format("") for name, words in OF_PIXELS.items()},
    **{f"encoded-{name}": words.format("encoded ") for name, words in OF_PIXELS.items()},
    **{"1/m": "cycles per m", "rad/m": "radians per m", "1/mm": "cycles per mm", "rad/mm": "radians per mm"},
}
TOGETHER = "yes"  # of --average: all repetitions and averages are one
LONGEST_TIME_MS = 1e6


@dataclass(frozen=True)
class ReadOptions:
    """What is said of a file beside it; what is None stays as the file has it, or as its reader decides."""

    pixel_mm: tuple[float, float] | None = None  # y, x
    slice_mm: float | None = None  # thickness
    frame_ms: float | None = None  # from one frame to the next
    readout_ms: float | None = None  # from one readout to the next
    affine: Path | None = None  # a file of 4 x 4 numbers: (x, y, slice) index -> RAS mm
    coil_maps: Path | None = None  # a file of them: slice, coil, y, x
    density: Path | None = None  # a file of the samples' weights: slice, readout, sample
    dataset: str | None = None  # which of several measurements in a file, by its name or number
    noise: str | None = None  # a file of its noise, or FILE:GROUP
    contrast: int | None = None  # which of several, by its number, and so on
    set_index: int | None = None
    repetition: int | None = None
    average: int | str | None = None  # or TOGETHER
    trajectory: str | None = None  # one of SCHEMES
    trajectory_unit: str | None = None  # of TRAJECTORY_UNITS
    time_unit: str | None = None  # of TIME_UNITS
    oversampling: float | None = None  # of spokes in MATLAB files, along the readout

    @classmethod
    def parsed(cls, given: Mapping[str, Any]) -> "ReadOptions":
        """The options from values as a command line, a run's config.toml or a program gives them.

        Raises BadRequest for an option that does not exist and for values that are none of its kind.
        """
        unknown = [name for name in given if name not in NAMES]
        if unknown:
            choice = ", ".join(NAMES)
            raise BadRequest(unknown[0], "there is no such option of reading a scan", f"choose {choice}")
        parsed: dict[str, Any] = {name: PARSE[name](name, value) for name, value in given.items() if value is not None}
        options = cls(**parsed)
        if options.frame_ms is not None and options.readout_ms is not None:
            raise BadRequest("--frame-ms and --readout-ms", "each of them says when readouts were measured", "give one")
        if options.trajectory is not None and options.trajectory_unit is not None:
            raise BadRequest("--trajectory and --trajectory-unit", "one makes what the other reads", "give one")
        return options

    def as_dict(self) -> dict[str, Any]:
        """What was said, by name, ready for TOML and JSON; `parsed` takes it back."""
        given = {name: getattr(self, name) for name in NAMES}
        return {name: _plain(value) for name, value in given.items() if value is not None}

    @property
    def files(self) -> list[Path]:
        """The files that are read beside the scan."""
        named = [path for name in NAMES if name in FILES and (path := getattr(self, name)) is not None]
        return named + ([] if self.noise is None else [self.noise_place[0]])

    @property
    def noise_place(self) -> tuple[Path, str | None]:
        """File and group of the noise that is named."""
        assert self.noise is not None
        path, colon, group = self.noise.rpartition(":")
        return (Path(path), group) if colon and not Path(self.noise).is_file() else (Path(self.noise), None)

    def check_taken(self, takes: frozenset[str], kind: str, where: str) -> None:
        """Raises BadRequest where an option was given that no scan of this kind of file takes."""
        for name in self.as_dict():
            if name not in takes | OF_ANY_SCAN:
                raise BadRequest(f"--{dashed(name)}", f"{where} is {kind}, of which it says nothing", "leave it out")


def dashed(name: str) -> str:
    """An option as the command line has it, without the two dashes before it."""
    return name.replace("_", "-")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return "x".join(f"{part:g}" for part in dict.fromkeys(value))
    return str(value) if isinstance(value, Path) else value


def _sizes(name: str, value: Any) -> tuple[float, float]:
    parts = re.split("[xX]", value) if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    if len(parts) not in (1, 2):
        raise BadRequest(f"--{dashed(name)} {value}", "it is no size in mm", "write 1.5 or 1.5x1.2 (y x x)")
    y, x = (_positive(name, part) for part in (parts[0], parts[-1]))
    return y, x


def _positive(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < LONGEST_TIME_MS:
        unit = name.rpartition("_")[2]
        raise BadRequest(f"--{dashed(name)} {value}", f"it is no length of time or space in {unit}", "write 1.5")
    return number


def _path(_: str, value: Any) -> Path:
    return Path(value).resolve()


def _text(_: str, value: Any) -> str:
    return str(value)


def _file(name: str, value: Any) -> str:
    """A file by its whole path; what stands after a colon, as a group in it, stays."""
    return str(Path(_text(name, value)).resolve())


def _number(name: str, value: Any) -> int:
    text = str(value).strip()
    if not re.fullmatch(r"\d{1,5}", text):
        raise BadRequest(f"--{dashed(name)} {value}", "it is no number of one", "write 0, 1 or another whole number")
    return int(text)


def _average(name: str, value: Any) -> int | str:
    if str(value).strip().lower() == TOGETHER or value is True:
        return TOGETHER
    try:
        return _number(name, value)
    except BadRequest as error:
        raise BadRequest(error.what, "it is neither yes nor a number", "write yes, or the number of one") from error


def _scheme(name: str, value: Any) -> str:
    if not re.fullmatch(SCHEMES, str(value)):
        fix = "write golden, tiny-golden:N, linear or linear:360"
        raise BadRequest(f"--{dashed(name)} {value}", "it is no scheme of spokes", fix)
    return str(value)


def _oversampling(name: str, value: Any) -> float:
    try:
        factor = float(value)
    except (TypeError, ValueError):
        factor = math.nan
    if not 1 <= factor <= 8:
        raise BadRequest(f"--{dashed(name)} {value}", "it is no factor of oversampling", "write 1, 2 or up to 8")
    return factor


def _one_of(units: Mapping[str, str]) -> Callable[[str, Any], str]:
    def parse(name: str, value: Any) -> str:
        if value not in units:
            raise BadRequest(f"--{dashed(name)} {value}", "it is no unit known here", f"choose {', '.join(units)}")
        return str(value)

    return parse


PARSE: dict[str, Callable[[str, Any], Any]] = {
    "pixel_mm": _sizes,
    "slice_mm": _positive,
    "frame_ms": _positive,
    "readout_ms": _positive,
    "affine": _path,
    "coil_maps": _path,
    "density": _path,
    "dataset": _text,
    "noise": _file,
    "contrast": _number,
    "set_index": _number,
    "repetition": _number,
    "average": _average,
    "trajectory": _scheme,
    "trajectory_unit": _one_of(TRAJECTORY_UNITS),
    "time_unit": _one_of(TIME_UNITS),
    "oversampling": _oversampling,
}
NAMES = tuple(field.name for field in fields(ReadOptions))
