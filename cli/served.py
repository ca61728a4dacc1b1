"""The program that a server forks for each scan: `dainr fit` of a stream, what is asked given as one JSON object.

The stream is read in this process, which is forked for this one fit and harms no other.
"""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from . import fit
from .app import Commands
from .options import Asked, read_binning
from .progress import Progress
from .resume import stored_reading, stored_run

for module in ("matplotlib.figure", "matplotlib.backends.backend_svg"):  # what a report is drawn by
    import_module(module)

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """What a server forks."""


@app.command("fit")
def fit_stream(job: str) -> None:
    """Fit the stream of a `dainr.serve.fits.Job`, or go on with its run."""
    from dainr.io.scans import formats, ismrmrd_stream
    from dainr.runs.folder import RunFolder

    content: dict[str, Any] = json.loads(job)
    asked, resume = Asked(content["options"]), bool(content["resume"])
    stream, folder = Path(content["stream"]), RunFolder(Path(content["folder"]))
    with folder.alone():
        reading = stored_reading(folder.path, asked) if resume else asked.reading
        scan = formats.read_by(ismrmrd_stream, stream, reading)
        if resume:
            request, config = stored_run(folder, Asked({}), content["sha256"])
            binning = read_binning(request.binning)
        else:
            request, config = fit.new_run(stream, content["sha256"], asked)
            binning = asked.binning
        fit.run(folder, binning.applied(scan), request, config, resume, Progress(quiet=True))


def main() -> None:
    """Run the command that the arguments give, as the program does."""
    get_command(app)(args=sys.argv[1:], prog_name="dainr")
