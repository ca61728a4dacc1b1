"""The program that a server forks: `dainr fit` of one stream after another, each asked for by a line of JSON.

Streams are read in this process, which harms no other: with the first that fails it ends, and says why on stderr.
"""

import gc
import json
import logging
import os
import select
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from dainr.machine.kept import next_scan
from dainr.settings.presets import DEFAULT_METHOD

from . import fit
from .app import Commands
from .options import Asked, read_binning
from .progress import Progress
from .resume import stored_reading, stored_run

for module in ("matplotlib.figure", "matplotlib.backends.backend_svg"):  # what a report is drawn by
    import_module(module)

log = logging.getLogger(__name__)

FEW_STEPS = {"iterations": 12, "budget_s": 0, "coarse_steps": 4, "start_steps": 2}  # of a fit whose images nobody sees
DONE = b"\n"

app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """What a server forks."""


@app.command("work")
def work(first: str) -> None:
    """Jobs, one a line on stdin, which is a socket: a line goes back for each that is done."""
    with open(0, "rb", closefd=False) as jobs:
        next_scan()
        if not select.select([jobs], [], [], 0)[0]:
            warm_up(json.loads(first))
        for job in jobs:
            next_scan()
            fit_stream(job.decode())
            os.write(0, DONE)
            gc.unfreeze()
            gc.collect()


def warm_up(options: Mapping[str, Any]) -> None:
    """Fit a phantom by a few steps, so that what a first fit loads and compiles is there; nothing is kept of it."""
    from dainr.methods import configure, get_method
    from dainr.settings.build import default_settings
    from dainr.simulate import SimulationConfig, simulate_phantom

    name = options.get("method", DEFAULT_METHOD)
    method = get_method(name)
    known = [path for path in default_settings(method.Config) if path.rpartition(".")[2] in FEW_STEPS]
    few = [f"{path}={FEW_STEPS[path.rpartition('.')[2]]}" for path in known]
    try:
        _, config = configure(name, options.get("preset"), [*Asked(options).pairs, *few])
        scan = simulate_phantom(SimulationConfig(matrix=32, frames=6, coils=4, spokes=9))
        config, _ = method.resolve(scan, config)
        method(scan, config)
    except Exception as error:  # a first fit then takes longer, or says it
        log.info("%s", error)


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
