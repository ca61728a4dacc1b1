"""`dainr info`: what is in a scan file, and what a fit would do with it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from . import options


@options.shared(leave_out=options.SHARED)
def info(
    scan: Annotated[Path, typer.Argument(help="Scan file: ISMRMRD, native HDF5, MATLAB .mat or BART .cfl.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    asked: options.Asked,
) -> None:
    """Say in plain words what is in a scan file and what a fit would do with it.

    Example: dainr info scan.h5
    """
    from dainr.io import Reading

    reading = Reading(scan, options=asked.reading)  # by another process, while this one imports
    from dainr.assess.describe import describe, in_words

    loaded = reading.scan()
    if as_json:
        typer.echo(json.dumps(describe(loaded)))
        return
    content, plan = in_words(loaded)
    typer.echo(
        "\n".join([str(scan), *(f"  {line}" for line in content), "A fit would:", *(f"  {line}" for line in plan)])
    )
