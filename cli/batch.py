"""`dainr batch`: every scan of a folder."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from dainr.errors import BadRequest, DainrError
from dainr.settings.build import parse_seconds

from . import options
from .batch_progress import BatchProgress


def batch(
    folder: Annotated[Path, typer.Argument(help="Folder with scan files, in it or in the folders within.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for runs, exports and summary.")],
    jobs: Annotated[int, typer.Option(help="Cases at once; 0: one a GPU, without GPUs one.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="A dask cluster's scheduler instead, tcp://...; it must see both folders.")
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(metavar="SUFFIX", help="Export every cine so, or several times so.  [default: .nii.gz]"),
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Longest time for one attempt at a case: 30m, 2h.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only go on with a batch that is there: refuse to begin one.")
    ] = False,
    method: Annotated[str | None, typer.Option(help="As in dainr fit, like all below.")] = None,
    preset: Annotated[str | None, typer.Option(help="Settings by name, or a .toml file.")] = None,
    iterations: options.Iterations = None,
    budget: options.Budget = None,
    spokes_per_frame: options.SpokesPerFrame = None,
    every: options.Every = None,
    frames_per_cycle: options.FramesPerCycle = None,
    respiratory_bins: options.RespiratoryBins = None,
    slices: options.Slices = None,
    matrix: options.Matrix = None,
    device: options.Device = None,
    seed: options.Seed = None,
    pairs: options.Pairs = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON array.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit, export and report every scan of a folder; run again, it does only what is missing or changed.

    Example: dainr batch scans -o results --jobs 2
    """
    from dainr.studies.batch.cases import find_cases
    from dainr.studies.batch.engine import run_jobs, visible_gpus
    from dainr.studies.batch.summary import write_summary
    from dainr.studies.batch.work import CASES, Job, known_outcome

    suffixes = _checked(export if export is not None else [".nii.gz"], output, scheduler, jobs)
    if preset is not None and preset.endswith(".toml"):
        preset = str(Path(preset).resolve())  # workers of a cluster are elsewhere
    given = {"--method": method, "--preset": preset, "--iterations": iterations, "--budget": budget}
    given |= {"--spokes-per-frame": spokes_per_frame, "--every": every, "--frames-per-cycle": frames_per_cycle}
    given |= {"--respiratory-bins": respiratory_bins, "--slices": slices, "--matrix": matrix}
    given |= {"--device": device, "--seed": seed}
    asked = [text for key, value in given.items() if value is not None for text in (key, str(value))]
    asked += [text for pair in pairs or [] for text in ("--set", pair)]
    cases = find_cases(folder.resolve(), output)
    limit_s = 0.0 if limit is None else parse_seconds(limit, "--limit")
    gpus = 0 if device == "cpu" else visible_gpus()
    workers = jobs or gpus or 1
    todo = [Job(case, output.resolve(), tuple(asked), suffixes, limit_s) for case in cases]
    if resume and not (output / CASES).is_dir():
        raise BadRequest(f"--resume {output}", "no batch has begun there", "leave out --resume, or name its folder")
    output.mkdir(parents=True, exist_ok=True)
    with _alone(output):
        known = [outcome for outcome in map(known_outcome, todo) if outcome is not None]
        left = [job for job in todo if job.case.name not in {outcome.name for outcome in known}]
        if left:
            _check_settings(method, preset, options.as_pairs(iterations, budget, device, seed, pairs))
        progress = BatchProgress(quiet or as_json, len(todo))
        try:
            outcomes = known + run_jobs(left, min(workers, max(len(left), 1)), gpus, scheduler, progress)
        finally:
            progress.close()
        rows = write_summary(output, todo, outcomes)
    _say(rows, output, as_json, quiet)


def _checked(export: list[str], output: Path, scheduler: str | None, jobs: int) -> tuple[str, ...]:
    from dainr.export import SUFFIXES

    for suffix in export:
        if suffix not in SUFFIXES:
            raise BadRequest(f"--export {suffix}", "there is no such format", f"choose {' or '.join(SUFFIXES)}")
    if jobs < 0:
        raise BadRequest(f"--jobs {jobs}", "that is no number of jobs", "choose 0 or more")
    if scheduler is not None and jobs:
        raise BadRequest("--jobs and --scheduler", "a cluster has its own workers", "give one of them")
    if output.exists() and not output.is_dir():
        raise BadRequest(str(output), "it is a file", "name a folder for the results")
    return tuple(dict.fromkeys(export))


def _check_settings(method: str | None, preset: str | None, overrides: list[str]) -> None:
    """What is wrong with the settings is said once, before anything runs."""
    from dainr.methods import get_method
    from dainr.settings.build import build_config
    from dainr.settings.presets import DEFAULT_METHOD, choose_preset, preset_settings

    name = method or DEFAULT_METHOD
    build_config(get_method(name).Config, preset_settings(name, choose_preset(name, preset)), overrides)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold the folder's lock. Raises BadRequest while another batch holds it."""
    with (output / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BadRequest(
                str(output), "another batch is at work in it", "wait for it or name another folder"
            ) from error
        yield


def _say(rows: list[dict[str, Any]], output: Path, as_json: bool, quiet: bool) -> None:
    failed = [row for row in rows if row["status"] != "done"]
    if as_json:
        typer.echo(json.dumps(rows))
    elif not quiet:
        for row in failed:
            typer.echo(f"  {row['case']}: {row['why']}", err=True)
        typer.echo(f"{len(rows) - len(failed)} done, {len(failed)} failed. Summary: {output / 'index.html'}", err=True)
    if failed:
        raise typer.Exit(DainrError.exit_code)
