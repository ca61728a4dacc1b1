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
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.main import get_command

from dainr.machine.kept import next_scan
from dainr.serve.following import CalledOff, Following
from dainr.serve.worker import CALLED_OFF, DONE, Job
from dainr.settings.presets import DEFAULT_METHOD

from . import fit
from .app import Commands
from .options import Asked, read_binning
from .progress import Progress
from .resume import stored_reading, stored_run

# what writes slices, and what a report is drawn by
for module in ("dainr.serve.slices", "matplotlib.figure", "matplotlib.backends.backend_svg"):
    import_module(module)

if TYPE_CHECKING:
    from dainr.methods.slices import MadeSlice
    from dainr.runs.folder import RunFolder
    from dainr.scan import Scan

log = logging.getLogger(__name__)

FEW_STEPS = {"iterations": 12, "budget_s": 0, "coarse_steps": 4, "start_steps": 2}  # of a fit whose images nobody sees
app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)


@app.callback()
def root() -> None:
    """What a server forks."""


@app.command("work")
def work(first: str) -> None:
    """Jobs, one a line on stdin, which is a socket: a line goes back for each that is done, or was called off."""
    next_scan()
    if not _is_called():
        warm_up(json.loads(first))
    while job := _read_line():
        if job == CALLED_OFF:  # too late
            continue
        next_scan()
        try:
            fit_stream(job.decode())
        except CalledOff:
            _read_line()
        os.write(0, DONE)
        if not _is_called():
            gc.unfreeze()  # a fit freezes what it finds
        gc.collect()


def _read_line() -> bytes:
    """The next line on stdin, nothing of what comes after it; empty once nobody sends any."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(0, 1)):
        line += byte
    return line


def _is_called() -> bool:
    """Whether something has come on stdin."""
    return bool(select.select([0], [], [], 0)[0])


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
    """Fit the stream of a `dainr.serve.worker.Job`, or go on with its run."""
    from dainr.methods import get_method
    from dainr.runs.folder import RunFolder
    from dainr.serve.slices import write_slice

    content = Job(**json.loads(job))
    asked, folder = Asked(content.options), RunFolder(Path(content.folder))
    stream = Path(content.stream)
    if content.resume or not content.slices:
        _fit_whole(content, asked, folder)
        return
    request, config = fit.new_run(stream, content.sha256, asked)

    def tell(one: "Scan", index: int, made: "MadeSlice") -> None:
        write_slice(Path(content.slices), index, one, made, request.method)

    following = Following(stream, asked.reading, asked.binning, get_method(request.method), tell, _is_called)
    scan = following.scan(config)
    request = replace(request, sha256=content.sha256 or following.sha256)
    with folder.alone():
        fit.run(folder, scan, request, config, False, Progress(quiet=True), following.beside(scan))


def _fit_whole(job: Job, asked: Asked, folder: "RunFolder") -> None:
    """The same, of a stream that is there as a whole and whose slices nobody waits for."""
    from dainr.io.scans import formats, ismrmrd_stream

    stream = Path(job.stream)
    with folder.alone():
        reading = stored_reading(folder.path, asked) if job.resume else asked.reading
        scan = formats.read_by(ismrmrd_stream, stream, reading)
        if job.resume:
            request, config = stored_run(folder, Asked({}), job.sha256)
            binning = read_binning(request.binning)
        else:
            request, config = fit.new_run(stream, job.sha256, asked)
            binning = asked.binning
        fit.run(folder, binning.applied(scan), request, config, job.resume, Progress(quiet=True))


def main() -> None:
    """Run the command that the arguments give, as the program does."""
    get_command(app)(args=sys.argv[1:], prog_name="dainr")
