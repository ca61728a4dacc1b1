"""`dainr fit`: reconstruct a scan into a run folder."""

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest
from dainr.settings.presets import DEFAULT_METHOD, choose_preset

from . import options
from .binning import as_given, binned
from .progress import Progress

if TYPE_CHECKING:
    from dainr.scan import Scan

METHOD = DEFAULT_METHOD


def fit(
    scan: Annotated[Path, typer.Argument(help="Scan file: ISMRMRD, native HDF5, MATLAB .mat or BART .cfl.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the run.  [default: SCAN's name + _dainr]")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Reconstruction method: see dainr methods.  [default: dainr]")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Settings by name, or a .toml file.  [default: default]")] = None,
    iterations: options.Iterations = None,
    budget: options.Budget = None,
    spokes_per_frame: options.SpokesPerFrame = None,
    every: options.Every = None,
    frames_per_cycle: options.FramesPerCycle = None,
    respiratory_bins: options.RespiratoryBins = None,
    frames: options.Frames = None,
    slices: options.Slices = None,
    matrix: options.Matrix = None,
    device: options.Device = None,
    seed: options.Seed = None,
    pairs: options.Pairs = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run in the folder.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, what it would take by a few steps, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record of the run as one JSON object.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a scan and leave cine, report and fitted field in a folder.

    Example: dainr fit scan.h5 -o run --iterations 1000
    """
    from dainr.io import Reading, scan_sha256

    reading = Reading(scan)  # by another process, while this one imports
    from dainr.runs.folder import RunFolder
    from dainr.runs.run import Request

    binning = as_given(spokes_per_frame, every, frames_per_cycle, respiratory_bins, frames, slices, matrix)
    overrides = options.as_pairs(iterations, budget, device, seed, pairs)
    folder = RunFolder(output or Path(f"{scan.stem}_dainr"))
    content = reading.scan()
    method = method or (None if resume else METHOD)
    in_use = choose_preset(method or METHOD, preset)
    request = Request(method or METHOD, in_use, str(scan), scan_sha256(scan), binning)
    if resume:
        request, config = _check_resumable(folder, request, binning, method, preset, overrides)
        if folder.is_complete:
            typer.echo(f"dainr: the run in {folder.path} is complete, nothing to resume.", err=True)
            return
    else:
        if not dry_run:
            folder.check_free(force)
            folder.check_apart(scan)
        config = _config(request, overrides)
    content = binned(content, request.binning)  # what was read is let go
    if dry_run:
        _say_plan(content, request, config, as_json)
    else:
        _run(folder, content, request, config, resume, Progress(quiet or as_json))
        if as_json:
            typer.echo(json.dumps(folder.read_record()))


def _run(folder: Any, scan: "Scan", request: Any, config: Any, resume: bool, progress: Progress) -> None:
    """The run itself, and in the end what it found."""
    from dainr.runs.folder import REPORT
    from dainr.runs.run import reconstruct_into

    how = f"{request.method}, preset {request.preset}" if request.method == METHOD else request.method
    progress.say(f"{request.scan}: {scan.n_frames} frames, {how}; Ctrl-C saves and stops")
    progress.show_log()
    with _Interrupt() as interrupt:
        try:
            recon = reconstruct_into(folder, scan, request, config, [progress], resume, lambda: interrupt.requested)
        finally:
            progress.close()
    for finding in folder.read_record()["verdict"]:
        progress.say(f"  {finding['text']}")
    progress.say(f"{recon.record['seconds']['total']:.0f} s. Cine and report: {folder.file(REPORT)}")
    progress.say(f"Export with: dainr export {folder.path} cine.nii.gz")


def _config(request: Any, overrides: list[str]) -> Any:
    from dainr.methods import get_method
    from dainr.settings.build import build_config
    from dainr.settings.presets import preset_settings

    settings = preset_settings(request.method, request.preset)
    return build_config(get_method(request.method).Config, settings, overrides)


def _check_resumable(
    folder: Any, request: Any, binning: dict[str, Any], method: str | None, preset: str | None, overrides: list[str]
) -> tuple[Any, Any]:
    """The stored request and config, if what is asked now agrees with them. Raises BadRequest otherwise."""
    from dainr.methods import get_method
    from dainr.runs.run import Request
    from dainr.settings.build import build_config, config_dict, differences

    stored = folder.read_config()
    original = Request(**stored["run"])
    config = build_config(get_method(original.method).Config, stored["config"])
    changed = []
    if original.sha256 != request.sha256:
        changed.append("the scan file")
    if (method and method != original.method) or (preset and preset != original.preset):
        changed.append("--method or --preset")
    if binning and binning != original.binning:
        changed.append("frames, slices or matrix")
    if overrides and not changed:
        wanted = config_dict(_config(original, overrides))
        decided = {"device": "auto", "nufft": "auto", "grid": "auto"}  # "auto" was decided when the run began
        keys = differences(config_dict(config), wanted)
        changed += [key for key in keys if wanted.get(key) != decided.get(key, object()) and _named(key, overrides)]
    if changed:
        raise BadRequest(
            f"--resume {folder.path}",
            f"it goes on with the run's own settings, and {', '.join(changed)} differ",
            "resume without them, or start anew with --force",
        )
    return original, config


def _named(key: str, overrides: list[str]) -> bool:
    names = [pair.split("=", 1)[0].strip() for pair in overrides]
    return any(key == name or key.endswith(f".{name}") for name in names)


def _say_plan(scan: "Scan", request: Any, config: Any, as_json: bool) -> None:
    """What would be done, and for the field, from a few steps of it, what it would take."""
    from dataclasses import asdict

    from dainr.assess.describe import describe, in_words
    from dainr.methods import get_method
    from dainr.settings.build import config_dict
    from dainr.studies.forecast import forecast

    config, choices = get_method(request.method).resolve(scan, config)
    costs = forecast(scan, request, config) if request.method == METHOD else None
    if as_json:
        plan = {"scan": describe(scan), "choices": choices, "config": config_dict(config)}
        typer.echo(json.dumps(plan | {"forecast": asdict(costs) if costs else None}))
        return
    content, steps = in_words(scan)
    typer.echo("\n".join([*content, "", "A fit would:", *(f"  {line}" for line in steps)]))
    typer.echo(f"  Method {request.method}, preset {request.preset}, on {config.device}, {choices['fourier']}.")
    if costs:
        at_most = "at most " if config.fit.schedule == "halving" else ""  # it may converge before its end
        typer.echo(f"  Take {at_most}{costs.seconds:.0f} s, and {costs.memory_mb / 1024:.1f} GB.")


class _Interrupt:
    """Turns the first Ctrl-C or termination signal into a request; a second one stops at once."""

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> "_Interrupt":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, *_: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
