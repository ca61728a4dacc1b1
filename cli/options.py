"""What several commands take: options declared once, and the parsing of sizes, slices, times."""

import re
from pathlib import Path
from typing import Annotated

import typer

from dainr.errors import BadRequest
from dainr.settings.build import parse_seconds

Iterations = Annotated[int | None, typer.Option(help="Steps of the fit, each slice.")]
Budget = Annotated[str | None, typer.Option(help="Wall-clock for the steps of each slice: 60s, 5m, 1h.")]
SpokesPerFrame = Annotated[int | None, typer.Option(help="Bin readouts into frames of N, in order of time.")]
Every = Annotated[
    int | None, typer.Option(help="With --spokes-per-frame: begin a frame every N readouts, a sliding window.")
]
FramesPerCycle = Annotated[int | None, typer.Option(help="Bin readouts into N phases of the cardiac cycle.")]
RespiratoryBins = Annotated[
    int | None,
    typer.Option(help="With --frames-per-cycle: of N bins of breathing, keep the one where the chest rests."),
]
Frames = Annotated[Path | None, typer.Option(help="Text file with the frame number of every readout.")]
Slices = Annotated[str | None, typer.Option(help="Slices to reconstruct: 0-3 or 0,2.  [default: all]")]
Matrix = Annotated[str | None, typer.Option(help="Reconstruction matrix: 128 or 192x156.  [default: the file's]")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:1.  [default: auto]")]
Seed = Annotated[int | None, typer.Option(help="Seed of everything random.  [default: 0]")]
Pairs = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: see dainr methods --settings.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]


def parse_matrix(text: str | None) -> tuple[int, int] | None:
    """(ny, nx) of "128" or "192x156"."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text.strip())
    if not match:
        raise BadRequest(f"--matrix {text}", "it is no size", "write 128 or 192x156 (y x x)")
    ny = int(match[1])
    return ny, int(match[2] or ny)


def parse_slices(text: str | None) -> list[int] | None:
    """Slice numbers of "0-3", "2" or "0,2,5"."""
    if text is None:
        return None
    numbers: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part.strip())
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise BadRequest(f"--slices {text}", "it names no slices", "write 0-3, 2 or 0,2,5")
        numbers += range(int(match[1]), int(match[2] or match[1]) + 1)
    return sorted(set(numbers))


def parse_times(text: str | None) -> list[float] | None:
    """Times in s of "0,0.5,1"."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise BadRequest(f"--times {text}", "they are no numbers", "give seconds, such as 0,0.5,1") from None


def as_pairs(
    iterations: int | None = None,
    budget: str | None = None,
    device: str | None = None,
    seed: int | None = None,
    pairs: list[str] | None = None,
) -> list[str]:
    """The options that are settings, as key=value pairs; a --set of the same key comes later and wins."""
    given: list[str] = []
    if iterations is not None:
        given.append(f"iterations={iterations}")
    if budget is not None:
        seconds = parse_seconds(budget, "--budget")
        given.append(f"budget_s={seconds}")
        if iterations is None:
            given.append("iterations=0")
    if device is not None:
        given.append(f"device={device}")
    if seed is not None:
        given.append(f"seed={seed}")
    return given + (pairs or [])
