"""`dainr fit`: reconstruct a scan into a run folder."""

import gc
import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.settings.presets import DEFAULT_METHOD, NONE

from . import options
from .interrupt import Interrupt
from .progress import Progress
from .resume import stored_reading, stored_run

if TYPE_CHECKING:
    from dainr.methods.slices import BesideRun
    from dainr.runs.folder import RunFolder
    from dainr.runs.run import Request
    from dainr.scan import Scan


@options.shared()
def fit(
    scan: Annotated[Path, typer.Argument(help="Scan file: ISMRMRD, native HDF5, MATLAB .mat or BART .cfl.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the run.  [default: SCAN's name + _dainr]")
    ] = None,
    *,
    asked: options.Asked,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in the folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run in the folder.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Say what a fit would do and, after trying a few steps, what it would take; write nothing.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record of the run as one JSON object.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a scan and leave cine, report and fitted field in a folder.

    Example: dainr fit scan.h5 -o run --iterations 1000
    """
    from dainr.io import Reading, scan_sha256

    target = output or Path(f"{scan.stem}_dainr")
    said = stored_reading(target, asked) if resume else asked.reading
    reading = Reading(scan, options=said)  # by another process, while this one imports
    from dainr.runs.folder import RunFolder
    from dainr.runs.run import has_cine

    folder = RunFolder(target)
    binning = asked.binning
    content = reading.scan()
    with ExitStack() as stack:
        if resume:
            folder.read_config()  # or there is no run
        elif not dry_run:
            folder.check_free(force)
            folder.check_apart(scan)
        if resume or not dry_run:
            stack.enter_context(folder.alone())
        if resume:
            request, config = stored_run(folder, asked, scan_sha256(scan, said))
            if folder.is_complete and has_cine(folder):
                typer.echo(f"dainr: the run in {folder.path} is complete, nothing to resume.", err=True)
                return
            binning = options.read_binning(request.binning)
        else:
            if not dry_run:
                folder.check_free(force)  # once more, for another fit may have ended here
            request, config = new_run(scan, scan_sha256(scan, said), asked)
        content = binning.applied(content)  # what was read is let go
        if dry_run:
            _say_plan(content, request, config, as_json)
        else:
            run(folder, content, request, config, resume, Progress(quiet or as_json))
            if as_json:
                typer.echo(json.dumps(folder.read_record()))


def new_run(scan: Path, sha256: str, asked: options.Asked) -> tuple["Request", Any]:
    """The request and config of a run that begins."""
    from dainr.machine.text import printable
    from dainr.methods import configure
    from dainr.runs.run import Request

    method = asked.given.get("method", DEFAULT_METHOD)
    preset, config = configure(method, asked.given.get("preset"), asked.pairs)
    binning, reading = asked.binning.as_dict(), asked.reading.as_dict()
    return Request(method, preset, printable(str(scan)), sha256, binning, reading), config


def run(
    folder: "RunFolder",
    scan: "Scan",
    request: "Request",
    config: Any,
    resume: bool,
    progress: Progress,
    beside: "BesideRun | None" = None,
) -> None:
    """The run itself, and in the end what it found; `beside`: slices that are made already."""
    from dainr.methods.slices import BesideRun
    from dainr.runs.folder import REPORT
    from dainr.runs.run import reconstruct_into

    progress.say(f"{request.scan}: {scan.n_frames} frames, {_in_words(request)}; Ctrl-C saves and stops")
    progress.show_log()
    gc.freeze()  # every slice ends with a collection of garbage, which need not look at what is loaded
    with Interrupt() as interrupt:
        try:
            recon = reconstruct_into(
                folder, scan, request, config, [progress], resume, lambda: interrupt.requested, beside or BesideRun()
            )
        finally:
            progress.close()
    for finding in folder.read_record()["verdict"]:
        progress.say(f"  {finding['text']}")
    progress.say(f"{recon.record['seconds']['total']:.0f} s. Cine and report: {folder.file(REPORT)}")
    progress.say(f"Export with: dainr export {folder.path} cine.nii.gz")


def _in_words(request: "Request") -> str:
    return request.method if request.preset == NONE else f"{request.method}, preset {request.preset}"


def _say_plan(scan: "Scan", request: "Request", config: Any, as_json: bool) -> None:
    """What would be done, and for the field, from a few steps of it, what it would take."""
    from dataclasses import asdict

    from dainr.assess.describe import describe, in_words
    from dainr.methods import get_method
    from dainr.settings.build import config_dict
    from dainr.studies.forecast import forecast

    config, choices = get_method(request.method).resolve(scan, config)
    costs = forecast(scan, request, config) if request.method == DEFAULT_METHOD else None
    if as_json:
        plan = {"scan": describe(scan), "choices": choices, "config": config_dict(config)}
        typer.echo(json.dumps(plan | {"forecast": asdict(costs) if costs else None}))
        return
    content, steps = in_words(scan)
    typer.echo("\n".join([*content, "", "A fit would:", *(f"  {line}" for line in steps)]))
    typer.echo(f"  Use method {_in_words(request)}, on {config.device}, with {choices['fourier']}.")
    if costs:
        how_long = "at most" if config.fit.schedule == "halving" else "about"  # it may converge before its end
        on_gpu = config.device.startswith("cuda")
        memory, whose = (costs.gpu_memory_mb, "the GPU's memory") if on_gpu else (costs.memory_mb, "memory")
        typer.echo(f"  Take {how_long} {costs.seconds:.0f} s and {memory / 1024:.1f} GB of {whose}.")
