"""What the commands share that track tissue: the folder they write, the labels they read, the run's own doubts."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dainr.errors import BadRequest

if TYPE_CHECKING:
    from dainr.cine import Cine
    from dainr.methods.recon import Recon

DOUBTS = {"caution": "Use with care", "poor": "Not reliable"}


def check_folder(out: Path, names: Sequence[str], force: bool) -> None:
    """Refuse a folder that holds what is not to be replaced, before anything is computed. Raises BadRequest."""
    if out.is_file() or (out.exists() and not out.is_dir()):
        raise BadRequest(str(out), "it is a file", "name a folder")
    if not out.parent.is_dir():
        raise BadRequest(str(out), f"there is no folder {out.parent}", "create it first")
    there = [name for name in names if (out / name).exists()]
    if there and not force:
        raise BadRequest(str(out), f"it holds {there[0]} already", "name another folder, or --force to replace it")


def check_one_stack(cine: "Cine") -> None:
    """Refuse slices that are several views: their labels would count twice. Raises BadRequest."""
    if (views := len(cine.volumes())) > 1:
        raise BadRequest("the run", f"its slices are {views} views of their own places", "fit one: --slices 0-9")


def say_doubts(record: dict[str, Any]) -> None:
    """Say on stderr what the run's verdict is, where it is not a good one."""
    finding = record["verdict"][0]
    if finding["level"] in DOUBTS:
        typer.echo(
            f"Trust is low, the report of the run says {DOUBTS[finding['level']]!r}: {finding['text']}", err=True
        )


def say_assumed(recon: "Recon") -> None:
    """Say that mm are a guess, where nobody said how large pixels are."""
    if "pixel_mm" in recon.cine.assumed:
        typer.echo("The size of pixels is assumed, and so are areas and volumes: fit with --pixel-mm", err=True)


def parse_pair(option: str, text: str) -> tuple[float, float]:
    """Two numbers of "48,52.5". Raises BadRequest."""
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        raise BadRequest(f"{option} {text}", "it is not two numbers", "write 48,52.5") from None
    if not math.isfinite(first) or not math.isfinite(second):
        raise BadRequest(f"{option} {text}", "it is not finite", "write 48,52.5")
    return first, second
