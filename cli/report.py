"""`dainr report`: write the report of a run anew."""

from pathlib import Path
from typing import Annotated

import typer


def report(run: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Write report.html of a finished run anew.

    Example: dainr report run
    """
    from dainr.report import build_report
    from dainr.runs.folder import REPORT, RunFolder
    from dainr.runs.run import load_run

    folder = RunFolder(run)
    folder.read_config()  # or there is no run
    with folder.alone():
        recon = load_run(run)
        folder.adopt()
        folder.write_text(REPORT, build_report(recon, folder.read_config(), recon.record))
    typer.echo(str(folder.file(REPORT)))
