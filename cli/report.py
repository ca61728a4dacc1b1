"""`dainr report`: write the report of a run anew."""

from pathlib import Path
from typing import Annotated

import typer

from dainr.errors import BadRequest

from .strain import strains_of


def report(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is damaged in the run, as far as the rest of it tells.")
    ] = False,
    mask: Annotated[
        Path | None, typer.Option(help="With the strain of this wall, drawn on one frame (NIfTI): its curves.")
    ] = None,
    label: Annotated[int | None, typer.Option(help="Which label of the mask is the wall.  [default: the only]")] = None,
    frame: Annotated[str, typer.Option(metavar="N", help="The frame it was drawn on.")] = "0",
) -> None:
    """Write report.html of a finished run anew, or mend a run that was damaged.

    Example: dainr report run
    """
    from dainr.report import build_report
    from dainr.runs.folder import REPORT, RunFolder
    from dainr.runs.run import load_run

    folder = RunFolder(run)
    folder.read_config()  # or there is no run
    with folder.alone():
        if repair:
            if mask is not None:
                raise BadRequest("--mask", "--repair only mends", "give one of them")
            _repair(run)
            return
        recon = load_run(run)
        strains = None if mask is None else strains_of(recon, mask, label, frame)
        folder.adopt()
        folder.write_text(REPORT, build_report(recon, folder.read_config(), recon.record, strains))
    typer.echo(str(folder.file(REPORT)))


def _repair(run: Path) -> None:
    """Mend and say it, a line each. Exits with 1 where something is still damaged."""
    from dainr.runs.repair import repair

    found = repair(run)
    for line in found.mended:
        typer.echo(line)
    for line in found.broken:
        typer.echo(f"dainr: not mended: {line}", err=True)
    if found.broken:
        raise typer.Exit(1)
    if not found.mended:
        typer.echo(f"{run}: the run is whole, nothing was changed.")
