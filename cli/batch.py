"""`dainr batch`: every scan of a folder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dainr.errors import BadRequest, DainrError
from dainr.settings.build import parse_seconds

from . import options
from .batch_progress import BatchProgress

if TYPE_CHECKING:
    from dainr.studies.batch.engine import Workers
    from dainr.studies.batch.work import Job


@options.shared(
    leave_out=["frames"], method="As in dainr fit, like all below.", preset="Settings by name, or a .toml file."
)
def batch(
    folder: Annotated[Path, typer.Argument(help="Folder with scan files, in it or in the folders within.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for runs, exports and summary.")],
    jobs: Annotated[
        int,
        typer.Option(min=0, max=1024, help="Cases at once; 0: as many as fit on the GPUs, or one where there is none."),
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="A dask cluster's scheduler instead, tcp://...; it must see both folders.")
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(metavar="SUFFIX", help="Format to export every cine in; may be repeated.  [default: .nii.gz]"),
    ] = None,
    limit: Annotated[str | None, typer.Option(help="Longest time for one attempt at a case: 30m, 2h.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only continue a batch that has begun; do not begin one.")
    ] = False,
    *,
    asked: options.Asked,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON array.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Fit, export and report every scan of a folder; run again, it does only what is missing or changed.

    Example: dainr batch scans -o results --jobs 2
    """
    from dainr.studies.batch.cases import find_cases
    from dainr.studies.batch.folder import fit_folder
    from dainr.studies.batch.index import CASES
    from dainr.studies.batch.work import Job

    suffixes = _checked(export if export is not None else [".nii.gz"], output, scheduler, jobs)
    limit_s = 0.0 if limit is None else parse_seconds(limit, "--limit")
    cases = find_cases(folder.resolve(), output)
    content = _content(asked)
    todo = [Job(case, output.resolve(), asked.arguments, suffixes, limit_s, content) for case in cases]
    if resume and not (output / CASES).is_dir():
        raise BadRequest(f"--resume {output}", "no batch has begun there", "leave out --resume, or name its folder")
    progress = BatchProgress(quiet or as_json, len(todo))
    try:
        rows = fit_folder(todo, output, lambda left: _hire(left, asked, jobs, scheduler, progress), progress)
    finally:
        progress.close()
    _say(rows, output, as_json, quiet)


def _checked(export: list[str], output: Path, scheduler: str | None, jobs: int) -> tuple[str, ...]:
    from dainr.export import SUFFIXES

    for suffix in export:
        if suffix not in SUFFIXES:
            raise BadRequest(f"--export {suffix}", "there is no such format", f"choose {' or '.join(SUFFIXES)}")
    if scheduler is not None and jobs:
        raise BadRequest("--jobs and --scheduler", "a cluster has its own workers", "give one of them")
    if output.exists() and not output.is_dir():
        raise BadRequest(str(output), "it is a file", "name a folder for the results")
    return tuple(dict.fromkeys(export))


def _content(asked: options.Asked) -> str:
    """Checksum of what the options stand for. Raises BadRequest for a method, preset or setting that does not exist."""
    from dainr.methods import configure
    from dainr.settings.presets import DEFAULT_METHOD
    from dainr.studies.batch.content import checksum

    method = asked.given.get("method", DEFAULT_METHOD)
    preset, config = configure(method, asked.given.get("preset"), asked.pairs)
    return checksum(method, preset, config, asked.reading)


def _hire(
    left: Sequence["Job"], asked: options.Asked, jobs: int, scheduler: str | None, progress: BatchProgress
) -> "Workers":
    """The workers for the jobs that are left. What is wrong with options or settings is said once, before any runs."""
    from dainr.methods import configure
    from dainr.settings.presets import DEFAULT_METHOD
    from dainr.studies.batch.engine import Workers
    from dainr.studies.batch.sharing import forecast_need, share_gpus, take_turns

    method, preset = asked.given.get("method", DEFAULT_METHOD), asked.given.get("preset")
    reading, binning, (_, config) = asked.reading, asked.binning, configure(method, preset, asked.pairs)
    if scheduler is not None:
        return Workers(1, scheduler=scheduler)
    if jobs:
        return take_turns(jobs, config.device)
    workers, sentence = share_gpus(left, config.device, forecast_need(reading, binning, config))
    if sentence:
        progress.say(sentence)
    return workers


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
