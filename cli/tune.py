"""`dainr tune`: how long a fit should run."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest
from dainr.settings import DEFAULT_PRESET, WITH_PRESETS, parse_seconds

from . import options
from .binning import as_given, binned
from .progress import Progress

if TYPE_CHECKING:
    from dainr.tune import Trial

DISAGREES = 0.5  # rank correlation below which held-out error and PSNR rank budgets differently


def tune(
    scan: Annotated[Path, typer.Argument(help="Scan file of any format dainr fit reads.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Preset to write, .toml; a page with the plot lies beside it.")
    ],
    budgets: Annotated[str, typer.Option(help="Times for the steps of a fit, separated by commas.")] = "5s,10s,20s,40s",
    preset: Annotated[str, typer.Option(help="Settings to start from: a name or a .toml file.")] = DEFAULT_PRESET,
    reference: Annotated[
        Path | None, typer.Option(help="Reference to check the choice by; it decides nothing. .npy, NIfTI or HDF5.")
    ] = None,
    spokes_per_frame: options.SpokesPerFrame = None,
    frames_per_cycle: options.FramesPerCycle = None,
    frames: options.Frames = None,
    slices: options.Slices = None,
    matrix: options.Matrix = None,
    device: options.Device = None,
    seed: options.Seed = None,
    pairs: options.Pairs = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the preset if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print trials and choice as one JSON object.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit a scan at several budgets, judge each by readouts it never saw, and write the smallest that is enough.

    Example: dainr tune scan.h5 --budgets 5s,10s,20s,40s -o mine.toml
    """
    seconds = [parse_seconds(part, "--budgets") for part in budgets.split(",")]
    _check_output(output, scan, force)
    from dainr.io import load
    from dainr.io.cine import read_series
    from dainr.methods.dainr_config import DainrConfig
    from dainr.settings import build_config, preset_settings
    from dainr.tune import agreement, as_preset, recommend, sweep

    overrides = options.as_pairs(device=device, seed=seed, pairs=pairs)
    config = build_config(DainrConfig, preset_settings(WITH_PRESETS, preset), overrides)
    prepared = binned(load(scan), as_given(spokes_per_frame, frames_per_cycle, frames, slices, matrix))
    truth = None if reference is None else read_series(reference)
    progress = Progress(quiet or as_json)
    trials: list[Trial] = []
    try:
        for trial in sweep(prepared, config, seconds, truth, [progress]):
            trials.append(trial)
            progress.say(_in_words(trial))
    finally:
        progress.close()
    chosen, ranked = recommend(trials), agreement(trials)
    _write(output, as_preset(config, chosen, scan.name), scan, trials, chosen, ranked)
    if as_json:
        found = {"trials": [asdict(trial) for trial in trials], "chosen": asdict(chosen), "rank_correlation": ranked}
        typer.echo(json.dumps(found))
        return
    progress.say(f"{chosen.budget_s:g} s are enough: {output}, plot in {output.with_suffix('.html')}")
    if ranked is not None and ranked < DISAGREES:
        progress.say(f"Held-out error and PSNR rank these budgets differently (rank correlation {ranked:.2f}).")


def _check_output(output: Path, scan: Path, force: bool) -> None:
    from dainr.export import check_target

    check_target(output, force, (".toml",))
    check_target(output.with_suffix(".html"), force, (".html",))
    if output.resolve() == scan.resolve():
        raise BadRequest(str(output), "it is the scan", "choose another name")


def _write(
    output: Path, preset: dict[str, Any], scan: Path, trials: list["Trial"], chosen: "Trial", ranked: float | None
) -> None:
    import tomli_w

    from dainr.io.hdf5 import write_whole
    from dainr.report.tuning import build_tuning

    page = build_tuning(scan.name, trials, chosen, ranked, tomli_w.dumps(preset))
    for path, text in ((output, tomli_w.dumps(preset)), (output.with_suffix(".html"), page)):
        with write_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _in_words(trial: "Trial") -> str:
    scored = "" if trial.psnr is None else f", PSNR {trial.psnr:.2f} dB, {trial.dynamic_psnr:.2f} where it moves"
    return f"  {trial.budget_s:g} s: {trial.steps} steps, held-out error {trial.heldout:.4f}{scored}"
