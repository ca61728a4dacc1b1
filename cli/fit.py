"""`dainr fit`: reconstruct a scan into a run folder."""

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest

from .options import parse_budget, parse_matrix, parse_slices

if TYPE_CHECKING:
    from dainr.scan import Scan

METHOD, PRESET = "dainr", "paper"


def fit(
    scan: Annotated[Path, typer.Argument(help="Scan file: ISMRMRD or native HDF5.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for the run.  [default: SCAN's name + _dainr]")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Reconstruction method: see dainr methods.  [default: dainr]")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Settings by name, or a .toml file.  [default: paper]")] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps of the fit, each slice.")] = None,
    budget: Annotated[str | None, typer.Option(help="Wall-clock for the steps of each slice: 60s, 5m, 1h.")] = None,
    spokes_per_frame: Annotated[
        int | None, typer.Option(help="Bin readouts into frames of N, in order of time.")
    ] = None,
    frames_per_cycle: Annotated[
        int | None, typer.Option(help="Bin readouts into N phases of the cardiac cycle.")
    ] = None,
    frames: Annotated[Path | None, typer.Option(help="Text file with the frame number of every readout.")] = None,
    slices: Annotated[str | None, typer.Option(help="Slices to reconstruct: 0-3 or 0,2.  [default: all]")] = None,
    matrix: Annotated[
        str | None, typer.Option(help="Reconstruction matrix: 128 or 192x156.  [default: the file's]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:1.  [default: auto]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.  [default: 0]")] = None,
    pairs: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting: see dainr methods --settings.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run in the folder.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record of the run as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")] = False,
) -> None:
    """Fit a scan and leave cine, report and fitted field in a folder.

    Example: dainr fit scan.h5 -o run --iterations 1000
    """
    from dainr.io import load
    from dainr.run import Request, reconstruct_into
    from dainr.run_folder import REPORT, RunFolder, file_sha256

    from .progress import Progress

    output = output or Path(f"{scan.stem}_dainr")
    binning: dict[str, Any] = {"spokes_per_frame": spokes_per_frame, "frames_per_cycle": frames_per_cycle}
    binning |= {"frames": None if frames is None else str(frames), "slices": slices, "matrix": matrix}
    binning = {key: value for key, value in binning.items() if value is not None}
    overrides = _overrides(iterations, budget, device, seed, pairs or [])
    folder = RunFolder(output)
    loaded = load(scan)
    method = method or (None if resume else METHOD)
    request = Request(method or METHOD, _preset(method, preset), str(scan), file_sha256(scan), binning)
    if resume:
        if folder.is_complete:
            _check_resumable(folder, request, binning, method, preset, overrides)
            typer.echo(f"dainr: the run in {output} is complete, nothing to resume.", err=True)
            return
        request, config = _check_resumable(folder, request, binning, method, preset, overrides)
    else:
        if not dry_run:
            folder.check_free(force)
            folder.check_apart(scan)
        config = _config(request, overrides)
    prepared = _binned(loaded, request.binning)
    if dry_run:
        _say_plan(prepared, request, config, as_json)
        return
    progress = Progress(quiet or as_json)
    how = f"{request.method}, preset {request.preset}" if request.method == METHOD else request.method
    progress.say(f"{scan}: {prepared.n_frames} frames, {how}; Ctrl-C saves and stops")
    progress.show_log()
    with _Interrupt() as interrupt:
        try:
            recon = reconstruct_into(folder, prepared, request, config, [progress], resume, lambda: interrupt.requested)
        finally:
            progress.close()
    if as_json:
        typer.echo(json.dumps(folder.read_record()))
        return
    for finding in folder.read_record()["verdict"]:
        progress.say(f"  {finding['text']}")
    progress.say(f"{recon.record['seconds']['total']:.0f} s. Cine and report: {folder.file(REPORT)}")
    progress.say(f"Export with: dainr export {output} cine.nii.gz")


def _preset(method: str | None, preset: str | None) -> str:
    """The preset in use: only the neural field has any. Raises BadRequest for one given to another method."""
    if method in (None, METHOD):
        return preset or PRESET
    if preset is not None:
        raise BadRequest(f"--preset {preset}", f"method {method} has no presets", "leave it out")
    return "none"


def _overrides(
    iterations: int | None, budget: str | None, device: str | None, seed: int | None, pairs: list[str]
) -> list[str]:
    """The options that are settings, as key=value pairs; a --set of the same key comes later and wins."""
    given: list[str] = []
    if iterations is not None:
        given.append(f"iterations={iterations}")
    seconds = parse_budget(budget)
    if seconds is not None:
        given.append(f"budget_s={seconds}")
        if iterations is None:
            given.append("iterations=0")
    if device is not None:
        given.append(f"device={device}")
    if seed is not None:
        given.append(f"seed={seed}")
    return given + pairs


def _config(request: Any, overrides: list[str]) -> Any:
    from dainr.methods import get_method
    from dainr.settings import build_config, read_preset

    settings = read_preset(request.preset) if request.method == METHOD else {}
    return build_config(get_method(request.method).Config, settings, overrides)


def _check_resumable(
    folder: Any, request: Any, binning: dict[str, Any], method: str | None, preset: str | None, overrides: list[str]
) -> tuple[Any, Any]:
    """The stored request and config, if what is asked now agrees with them. Raises BadRequest otherwise."""
    from dainr.methods import get_method
    from dainr.run import Request
    from dainr.settings import build_config, config_dict, differences

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


def _binned(scan: "Scan", binning: dict[str, Any]) -> "Scan":
    """The scan with the slices, frames and matrix that were asked for. Raises BadRequest for contradictory binnings."""
    from dainr.prepare.frames import bin_given, bin_phases, bin_spokes, frames_as_stored, read_frame_list
    from dainr.prepare.resize import resize_matrix

    chosen = parse_slices(binning.get("slices"))
    if chosen is not None:
        scan = scan.select_slices(chosen)
    ways = [key for key in ("spokes_per_frame", "frames_per_cycle", "frames") if key in binning]
    if len(ways) > 1:
        raise BadRequest(
            "frames",
            "they are asked for in several ways",
            "give one of --spokes-per-frame, --frames-per-cycle, --frames",
        )
    if not ways:
        scan = frames_as_stored(scan)
    elif ways[0] == "spokes_per_frame":
        scan = bin_spokes(scan, binning["spokes_per_frame"])
    elif ways[0] == "frames_per_cycle":
        scan = bin_phases(scan, binning["frames_per_cycle"])
    else:
        scan = bin_given(scan, read_frame_list(Path(binning["frames"])))
    matrix = parse_matrix(binning.get("matrix"))
    return scan if matrix is None else resize_matrix(scan, matrix)


def _say_plan(scan: "Scan", request: Any, config: Any, as_json: bool) -> None:
    from dainr.describe import describe, in_words
    from dainr.methods import get_method
    from dainr.settings import config_dict

    config, choices = get_method(request.method).resolve(scan, config)
    if as_json:
        typer.echo(json.dumps({"scan": describe(scan), "choices": choices, "config": config_dict(config)}))
        return
    content, plan = in_words(scan)
    typer.echo("\n".join([*content, "", "A fit would:", *(f"  {line}" for line in plan)]))
    typer.echo(f"  Method {request.method}, preset {request.preset}, on {config.device}, {choices['fourier']}.")


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
