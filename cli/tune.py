"""`dainr tune`: how long a fit should run, or which settings fit best."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest, BadScan, DainrError
from dainr.settings.build import parse_seconds
from dainr.settings.presets import DEFAULT_METHOD, DEFAULT_PRESET

from . import options
from .binning import as_given, binned
from .progress import Progress

if TYPE_CHECKING:
    from dainr.scan import Scan
    from dainr.studies.tune import Trial

DISAGREES = 0.5  # rank correlation below which held-out error and PSNR rank budgets differently
BUDGETS = "5s,10s,20s,40s"


def tune(
    scan: Annotated[Path, typer.Argument(help="Scan file of any format dainr fit reads, or a folder of them.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Preset to write, .toml; a page with the plot lies beside it.")
    ],
    budgets: Annotated[
        str | None, typer.Option(help=f"Times for the steps of a fit, separated by commas.  [default: {BUDGETS}]")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=2, help="Search the settings that matter, in so many attempts, instead.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Settings to start from: a name or a .toml file.")] = DEFAULT_PRESET,
    reference: Annotated[
        Path | None, typer.Option(help="Reference to check the choice by; it decides nothing. .npy, NIfTI or HDF5.")
    ] = None,
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
    force: Annotated[bool, typer.Option("--force", help="Replace the preset if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print trials and choice as one JSON object.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit scans in several ways, judge each by readouts it never saw, and write the best as a preset.

    Example: dainr tune scan.h5 --budgets 5s,10s,20s,40s -o mine.toml
    """
    seconds = [parse_seconds(part, "--budgets") for part in (BUDGETS if budgets is None else budgets).split(",")]
    _check(scan, output, force, reference, budgets, trials)
    from dainr.methods.dainr.config import DainrConfig
    from dainr.settings.build import build_config
    from dainr.settings.presets import preset_settings

    overrides = options.as_pairs(device=device, seed=seed, pairs=pairs)
    config = build_config(DainrConfig, preset_settings(DEFAULT_METHOD, preset), overrides)
    progress = Progress(quiet or as_json)
    scans = _scans(
        scan,
        output,
        as_given(spokes_per_frame, every, frames_per_cycle, respiratory_bins, frames, slices, matrix),
        progress,
    )
    try:
        if trials is None:
            found = _sweep(scan.name, scans, config, seconds, reference, output, progress)
        else:
            found = _search(scan.name, scans, config, trials, output, progress)
    finally:
        progress.close()
    if as_json:
        typer.echo(json.dumps(found))


def _sweep(
    title: str,
    scans: Mapping[str, "Scan"],
    config: Any,
    seconds: list[float],
    reference: Path | None,
    output: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Every budget on every scan, and the smallest that is enough."""
    import tomli_w

    from dainr.io.images.series import read_series
    from dainr.studies.tune import agreement, as_preset, recommend, sweep, with_budget
    from dainr.studies.tuning_page import build_tuning

    truth = None if reference is None else read_series(reference)
    sweeps: dict[str, list[Trial]] = {}
    for name, one in scans.items():
        progress.say(name)
        sweeps[name] = []
        for trial in sweep(one, config, seconds, truth, [progress]):
            sweeps[name].append(trial)
            progress.say(_in_words(trial))
    chosen = recommend(list(sweeps.values()))
    about = f"{chosen:g} s of steps, chosen by held-out readouts of {title}"
    preset = tomli_w.dumps(as_preset(with_budget(config, chosen), about))
    _write(output, preset, build_tuning(title, sweeps, chosen, preset))
    progress.say(f"{chosen:g} s are enough: {output}, plot in {output.with_suffix('.html')}")
    ranked = {name: agreement(trials) for name, trials in sweeps.items()}
    for correlation in ranked.values():
        if correlation is not None and correlation < DISAGREES:
            progress.say(
                f"Held-out error and PSNR rank these budgets differently (rank correlation {correlation:.2f})."
            )
    cases = [
        {"scan": name, "trials": [asdict(trial) for trial in trials], "rank_correlation": ranked[name]}
        for name, trials in sweeps.items()
    ]
    return {"budget_s": chosen, "cases": cases}


def _search(
    title: str, scans: Mapping[str, "Scan"], config: Any, trials: int, output: Path, progress: Progress
) -> dict[str, Any]:
    """As many attempts as asked, those of an earlier call counted, and the best."""
    import tomli_w

    from dainr.studies.search import Attempt, choose, search, settings_of
    from dainr.studies.tune import as_preset
    from dainr.studies.tuning_page import build_search

    attempts: list[Attempt] = []
    for attempt in search(list(scans.values()), config, trials, output.with_suffix(".study"), [progress]):
        attempts.append(attempt)
        score = "stopped on the way" if attempt.score is None else f"error {attempt.score:.3f} of the start's"
        settings = ", ".join(f"{name.split('.')[1]} {value:.3g}" for name, value in attempt.settings.items())
        progress.say(f"  attempt {attempt.number}: {score} ({settings})")
    chosen = choose(attempts)
    line = f"the best of {len(attempts)} attempts by held-out readouts of {title}"
    preset = tomli_w.dumps(as_preset(settings_of(config, chosen), line))
    _write(output, preset, build_search(title, len(scans), attempts, chosen, preset))
    gain = "no setting tried is better" if chosen is attempts[0] else f"error {chosen.score:.3f} of the start's"
    progress.say(f"{gain}: {output}, plot in {output.with_suffix('.html')}")
    return {"attempts": [asdict(attempt) for attempt in attempts], "chosen": asdict(chosen)}


def _check(
    scan: Path, output: Path, force: bool, reference: Path | None, budgets: str | None, trials: int | None
) -> None:
    from dainr.export import check_target

    if budgets is not None and trials:
        raise BadRequest("--budgets and --trials", "they ask for different things", "give one of them")
    if reference and (trials or scan.is_dir()):
        raise BadRequest("--reference", "it checks the budgets of one scan", "leave it out")
    check_target(output, force, (".toml",))
    check_target(output.with_suffix(".html"), force, (".html",))
    if output.resolve() == scan.resolve():
        raise BadRequest(str(output), "it is the scan", "choose another name")


def _scans(path: Path, output: Path, binning: dict[str, Any], progress: Progress) -> dict[str, "Scan"]:
    """The scan, or of those in a folder the ones that can be read, by name; of stacks the middle slice."""
    from dainr.io import load
    from dainr.studies.batch.cases import find_cases
    from dainr.studies.tune import middle_slice

    if not path.is_dir():
        return {path.name: binned(load(path), binning)}
    found: dict[str, Scan] = {}
    for case in find_cases(path, output):
        try:
            found[case.name] = middle_slice(binned(load(case.path), binning))
        except DainrError as error:
            progress.say(f"{case.name} is left out. {error}")
    if not found:
        raise BadScan(str(path), "none of its scans can be fitted", "see dainr info for each")
    return found


def _write(output: Path, preset: str, page: str) -> None:
    from dainr.io.hdf5 import write_whole

    for path, text in ((output, preset), (output.with_suffix(".html"), page)):
        with write_whole(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _in_words(trial: "Trial") -> str:
    scored = "" if trial.psnr is None else f", PSNR {trial.psnr:.2f} dB, {trial.dynamic_psnr:.2f} where it moves"
    return f"  {trial.budget_s:g} s: {trial.steps} steps, held-out error {trial.heldout:.4f}{scored}"
