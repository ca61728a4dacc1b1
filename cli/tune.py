"""`dainr tune`: how long a fit should run, or which settings fit best."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest, DainrError
from dainr.settings.build import parse_seconds
from dainr.settings.presets import DEFAULT_METHOD, DEFAULT_PRESET

from . import options
from .progress import Progress

if TYPE_CHECKING:
    from dainr.studies.search import Attempt
    from dainr.studies.tune import Trial
    from dainr.studies.tuning import Tuning

BUDGETS = "5s,10s,20s,40s"


@options.shared(leave_out=options.METHOD)
def tune(
    scan: Annotated[Path, typer.Argument(help="Scan file of any format dainr fit reads, or a folder of them.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Preset to write, .toml; a page with the plot lies beside it.")
    ],
    budgets: Annotated[
        str | None, typer.Option(help=f"Times for the steps of a fit, separated by commas.  [default: {BUDGETS}]")
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=2, max=10_000, help="Instead, search the settings that matter in so many attempts."),
    ] = None,
    preset: Annotated[str, typer.Option(help="Settings to start from: a name or a .toml file.")] = DEFAULT_PRESET,
    reference: Annotated[
        Path | None, typer.Option(help="Reference to check the choice by; it decides nothing. .npy, NIfTI or HDF5.")
    ] = None,
    *,
    asked: options.Asked,
    force: Annotated[bool, typer.Option("--force", help="Replace the preset if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print trials and choice as one JSON object.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit scans in several ways, judge each by readouts it never saw, and write the best as a preset.

    Example: dainr tune scan.h5 --budgets 5s,10s,20s,40s -o mine.toml
    """
    seconds = [parse_seconds(part, "--budgets") for part in (BUDGETS if budgets is None else budgets).split(",")]
    _check(scan, output, force, reference, budgets, trials)
    from dainr.machine.text import printable
    from dainr.methods import configure
    from dainr.studies.tuning import Tuning, load_scans

    _, config = configure(DEFAULT_METHOD, preset, asked.pairs)
    progress = Progress(quiet or as_json)

    def leave_out(name: str, error: DainrError) -> None:
        progress.say(f"{name} is left out. {error}")

    scans = load_scans(scan, output, asked.binning, leave_out, asked.reading)
    tuning = Tuning(printable(scan.name), scans, config, output)
    try:
        found = _sweep(tuning, seconds, reference, progress) if trials is None else _search(tuning, trials, progress)
    finally:
        progress.close()
    if as_json:
        typer.echo(json.dumps(found))


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


def _sweep(tuning: "Tuning", seconds: list[float], reference: Path | None, progress: Progress) -> dict[str, Any]:
    from dainr.io.images.series import read_series

    def tell(trial: "Trial") -> None:
        scored = "" if trial.psnr is None else f", PSNR {trial.psnr:.2f} dB, {trial.dynamic_psnr:.2f} dB where it moves"
        progress.say(f"  {trial.budget_s:g} s: {trial.steps} steps, held-out error {trial.heldout:.4f}{scored}")

    found = tuning.budget(seconds, None if reference is None else read_series(reference), progress.begin, tell)
    progress.say(f"{found.seconds:g} s is enough: {tuning.output}, plot in {tuning.output.with_suffix('.html')}")
    for correlation in found.disagreements:
        progress.say(f"Held-out error and PSNR rank these budgets differently (rank correlation {correlation:.2f}).")
    return found.as_dict()


def _search(tuning: "Tuning", trials: int, progress: Progress) -> dict[str, Any]:
    def tell(attempt: "Attempt") -> None:
        score = "stopped early" if attempt.score is None else f"{attempt.score:.3f} times the error at the start"
        settings = ", ".join(f"{name.split('.')[1]} {value:.3g}" for name, value in attempt.settings.items())
        progress.say(f"  attempt {attempt.number}: {score} ({settings})")

    found = tuning.settings(trials, [progress], tell)
    chosen = found.chosen
    same = chosen is found.attempts[0]
    gain = "no attempt is better than the start" if same else f"{chosen.score:.3f} times the error at the start"
    progress.say(f"{gain}: {tuning.output}, plot in {tuning.output.with_suffix('.html')}")
    return found.as_dict()
