"""Options that several commands take, declared once, and the parsing of sizes, slices and times."""

import functools
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest
from dainr.settings.build import parse_seconds, step_limits

if TYPE_CHECKING:
    from dainr.io import ReadOptions
    from dainr.prepare.binning import Binning

Metrics = Annotated[
    str | None,
    typer.Option(
        metavar="A,B,...",
        help="Scores wanted, also of what does not move: psnr, ssim, nrmse, haarpsi and dists, which needs weights."
        "  [default: all but dists]",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")]

# What dainr fit and its kin take of a method, its steps, a scan's frames and the machine, in the order of their help.
SHARED: dict[str, Any] = {
    "method": Annotated[str | None, typer.Option(help="Reconstruction method: see dainr methods.  [default: dainr]")],
    "preset": Annotated[str | None, typer.Option(help="Settings by name, or a .toml file.  [default: default]")],
    "iterations": Annotated[int | None, typer.Option(help="Steps of the fit, for each slice.")],
    "budget": Annotated[str | None, typer.Option(help="Wall-clock time for the steps of each slice: 60s, 5m, 1h.")],
    "spokes_per_frame": Annotated[int | None, typer.Option(help="Bin readouts into frames of N, in order of time.")],
    "every": Annotated[
        int | None,
        typer.Option(help="With --spokes-per-frame: a sliding window, a frame begins every N readouts."),
    ],
    "frames_per_cycle": Annotated[int | None, typer.Option(help="Bin readouts into N phases of the cardiac cycle.")],
    "respiratory_bins": Annotated[
        int | None,
        typer.Option(help="With --frames-per-cycle: of N respiratory bins, keep the one where the chest rests."),
    ],
    "frames": Annotated[Path | None, typer.Option(help="Text file with the frame number of every readout.")],
    "slices": Annotated[str | None, typer.Option(help="Slices to reconstruct: 0-3 or 0,2.  [default: all]")],
    "matrix": Annotated[
        str | None, typer.Option(help="Reconstruction matrix: 128 or 192x156 (y x x).  [default: the file's]")
    ],
    "device": Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:1.  [default: auto]")],
    "seed": Annotated[int | None, typer.Option(help="Seed of all random numbers.  [default: 0]")],
    "error_map": Annotated[
        bool | None,
        typer.Option("--error-map", help="Also say how large an error to expect in every pixel and frame (dainr)."),
    ],
    "set": Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Any setting: see dainr methods --settings.")
    ],
}
# What commands that read a scan take, to say of its file what that does not: the fields of ReadOptions.
PANEL = "Reading the file"


def _said(kind: Any, text: str, metavar: str | None = None) -> Any:
    return Annotated[kind, typer.Option(help=text, metavar=metavar, rich_help_panel=PANEL)]


READING: dict[str, Any] = {
    "pixel_mm": _said(str | None, "Size of a pixel in mm: 1.5 or 1.5x1.2 (y x x).", "SIZE"),
    "slice_mm": _said(float | None, "Thickness of a slice in mm."),
    "frame_ms": _said(float | None, "Time from one frame to the next in ms."),
    "readout_ms": _said(float | None, "Time from one readout to the next in ms, where none is in a frame."),
    "affine": _said(Path | None, "File of 4 x 4 numbers, text or .npy: (x, y, slice) index to RAS mm."),
    "coil_maps": _said(Path | None, "Coil maps from this file (.npy, .cfl, .h5): slice, coil, y, x."),
    "density": _said(Path | None, "Weights of the samples from this file (.npy, .cfl, .h5): slice, readout, sample."),
    "dataset": _said(str | None, "Which of several measurements in a file: its name, or its number from 0."),
    "noise": _said(str | None, "Noise from this ISMRMRD file, FILE:GROUP of one, or .npy: coil, sample.", "FILE"),
    "contrast": _said(int | None, "Which contrast of an ISMRMRD file, by its number.  [default: the first]"),
    "set_index": _said(int | None, "Which set of an ISMRMRD file, by its number.  [default: the first]"),
    "repetition": _said(int | None, "Which repetition of an ISMRMRD file, where these are no frames."),
    "average": _said(str | None, "Which average of an ISMRMRD file, or yes: all repetitions and averages as one."),
    "trajectory": _said(
        str | None, "Make the trajectory of spokes without one: golden, tiny-golden:N, linear or linear:360.", "SCHEME"
    ),
    "trajectory_unit": _said(
        str | None,
        "Unit of a stored trajectory: cycles, radians, fov, normalized (each also as encoded-...), 1/m, rad/m, 1/mm or"
        " rad/mm.",
        "UNIT",
    ),
    "time_unit": _said(str | None, "Unit of time stamps: 2.5ms, ms, us, 0.1ms or 10us.", "UNIT"),
    "oversampling": _said(float | None, "Oversampling of a MATLAB file's spokes without coil maps.  [default: 2]"),
}
BINNING = ("spokes_per_frame", "every", "frames_per_cycle", "respiratory_bins", "frames", "slices", "matrix")
METHOD = ("method", "preset", "iterations", "budget", "error_map")


@dataclass(frozen=True)
class Asked:
    """The shared options that were given, by name."""

    given: Mapping[str, Any]

    @property
    def binning(self) -> "Binning":
        """The slices, frames and matrix asked for. Raises BadRequest for contradictory ones."""
        return read_binning({name: value for name, value in self.given.items() if name in BINNING})

    @property
    def reading(self) -> "ReadOptions":
        """What is said of the scan file beside it. Raises BadRequest."""
        from dainr.io import ReadOptions

        return ReadOptions.parsed({name: value for name, value in self.given.items() if name in READING})

    @property
    def pairs(self) -> list[str]:
        """The options that are settings, as key=value; a --set of the same key comes later and wins."""
        of_the_machine = [f"{name}={self.given[name]}" for name in ("device", "seed") if name in self.given]
        limits = limits_as_pairs(self.given.get("iterations"), self.given.get("budget"))
        error_map = ["error_map=yes"] if self.given.get("error_map") else []
        return limits + of_the_machine + error_map + self.given.get("set", [])

    @property
    def arguments(self) -> tuple[str, ...]:
        """The options as `dainr fit` takes them anywhere: files by their whole path."""
        arguments: list[str] = []
        for name, value in self.given.items():
            if isinstance(value, Path) or (name == "preset" and value.endswith(".toml")):
                value = Path(value).resolve()
            option = f"--{name.replace('_', '-')}"
            for one in value if isinstance(value, list) else [value]:
                arguments += [option] if one is True else [option, str(one)]
        return tuple(arguments)


def shared(
    *, leave_out: Collection[str] = (), **other_help: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator of a command: the shared options stand where its signature says `asked: Asked`, and arrive as that.

    They are those of SHARED and, after them, of READING, all but those in `leave_out`; `other_help` holds help texts
    of the command's own.
    """
    names = [name for name in SHARED | READING if name not in leave_out]

    def option(name: str) -> inspect.Parameter:
        annotation = (SHARED | READING)[name]
        if name in other_help:
            kind, declared = annotation.__origin__, annotation.__metadata__[0]
            annotation = Annotated[kind, typer.Option(metavar=declared.metavar, help=other_help[name])]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
            parameters += [option(name) for name in names] if parameter.annotation is Asked else own

        @functools.wraps(command)
        def with_options(**values: Any) -> None:
            given = {name: value for name in names if (value := values.pop(name)) not in (None, [])}
            command(**values, asked=Asked(given))

        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return with_options

    return decorate


def read_binning(texts: Mapping[str, Any]) -> "Binning":
    """A binning from options by name, or from what a run's config.toml holds of them. Raises BadRequest."""
    from dainr.prepare.binning import Binning

    slices, matrix, frames = (texts.get(name) for name in ("slices", "matrix", "frames"))
    parsed = {"slices": parse_slices(slices), "matrix": parse_matrix(matrix)}
    return Binning(**{**texts, **parsed, "frames": None if frames is None else Path(frames)})


def limits_as_pairs(iterations: int | None, budget: str | None) -> list[str]:
    """--iterations and --budget as settings, key=value."""
    return step_limits(iterations, None if budget is None else parse_seconds(budget, "--budget"))


def parse_matrix(text: str | None) -> tuple[int, int] | None:
    """(ny, nx) of "128" or "192x156"."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not match:
        raise BadRequest(f"--matrix {text}", "it is not a size in pixels", "write 128 or 192x156 (y x x)")
    ny = int(match[1])
    return ny, int(match[2] or ny)


def parse_slices(text: str | None) -> tuple[int, ...] | None:
    """Slice numbers of "0-3", "2" or "0,2,5", ascending."""
    if text is None:
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part.strip())
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise BadRequest(f"--slices {text}", "it is not a list of slices", "write 0-3, 2 or 0,2,5")
        numbers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(numbers))


def parse_times(text: str | None) -> list[float] | None:
    """Times in s of "0,0.5,1"."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadRequest(f"--times {text}", "it is not a list of numbers", "give seconds, such as 0,0.5,1") from None
