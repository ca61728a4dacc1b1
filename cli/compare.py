"""`dainr compare`: several methods on one scan, scored against a reference, side by side in one page."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dainr.errors import BadRequest, Interrupted

from . import options
from .progress import Progress

if TYPE_CHECKING:
    from dainr.assess.metrics import Wanted
    from dainr.scan import Scan
    from dainr.studies.compare import Comparison, Contender, ReferenceFile


CELL = 10  # columns of a terminal that one of the table takes
SHORT = {"whole": "", "dynamic": "dyn. ", "static": "stat. "}  # regions


@options.shared(
    leave_out=options.METHOD, set="A setting of every method that has it; METHOD:KEY=VALUE sets that of one alone."
)
def compare(
    scan: Annotated[Path, typer.Argument(help="Scan file: ISMRMRD, native HDF5, MATLAB .mat or BART .cfl.")],
    methods: Annotated[
        str, typer.Option(metavar="A,B,...", help="Methods, each NAME or NAME:PRESET: see dainr methods.")
    ],
    reference: Annotated[
        Path | None, typer.Option(help="The reference: .npy, NIfTI or HDF5.  [default: the one in the scan]")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Page to write.  [default: SCAN's name + _compare.html]")
    ] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps of the neural field's fit, for each slice.")] = None,
    budget: Annotated[
        str | None, typer.Option(help="Wall-clock time for the steps of the neural field's fit of each slice: 60s, 5m.")
    ] = None,
    metrics: options.Metrics = None,
    *,
    asked: options.Asked,
    force: Annotated[bool, typer.Option("--force", help="Replace the page if it exists.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print scores, times and settings as one JSON object.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Reconstruct a scan by several methods, score each against a reference, and show them side by side in one page.

    A method that fails does not stop the others; the exit code is then that of the first that failed.

    Example: dainr compare scan.h5 --reference reference.npy --methods gridding,dainr:paper
    """
    from dainr.assess.metrics import choose_metrics
    from dainr.export import check_target
    from dainr.io import load
    from dainr.studies.compare import ReferenceFile, choose_contenders

    wanted = choose_metrics(metrics)
    output = output or Path(f"{scan.stem}_compare.html")
    check_target(output, force, (".html",))
    limits = [f"fit.{pair}" for pair in options.limits_as_pairs(iterations, budget)]
    contenders = choose_contenders(methods.split(","), limits + asked.pairs)
    binning, loaded = asked.binning, load(scan, asked.reading)
    if reference is None and loaded.reference is None:
        raise BadRequest(str(scan), "it holds no reference to score against", "give one with --reference")
    truth = ReferenceFile(reference or scan, binning.slices)
    comparison = _run(binning.applied(loaded), scan, contenders, truth, wanted, output, Progress(quiet or as_json))
    _say(comparison, wanted if metrics else None, output, as_json)


def _run(
    scan: "Scan",
    source: Path,
    contenders: "list[Contender]",
    truth: "ReferenceFile",
    wanted: "Wanted",
    output: Path,
    progress: Progress,
) -> "Comparison":
    """All methods and the page. Raises Interrupted on Ctrl-C."""
    from dainr.studies.compare import compare, write_page

    progress.say(f"{source}: {scan.n_frames} frames; Ctrl-C stops and writes nothing")
    progress.show_log()
    try:
        comparison = compare(scan, source, contenders, truth, progress.begin, wanted)
        write_page(comparison, output)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted", "nothing was written", "start it again") from error
    finally:
        progress.close()
    return comparison


def _say(comparison: "Comparison", wanted: "Wanted | None", output: Path, as_json: bool) -> None:
    """Scores on stdout, failures on stderr. Exits with the code of the first method that failed."""
    if as_json:
        typer.echo(json.dumps(comparison.record))
    else:
        _show(comparison, wanted)
        typer.echo(f"Page: {output}", err=True)
    failed = [(outcome.contender.name, outcome.error) for outcome in comparison.outcomes if outcome.error is not None]
    for name, failure in failed:
        typer.echo(f"dainr: {name} failed: {failure}", err=True)
    if failed:
        raise typer.Exit(failed[0][1].exit_code)


def _show(comparison: "Comparison", wanted: "Wanted | None") -> None:
    """A row for each method: the scores asked for in every region, or those that say most."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    from dainr.assess.metrics import METRICS, USUAL
    from dainr.assess.scores import SSIM_WINDOW

    if wanted is None:
        shown = [*(("whole", name) for name in USUAL), ("dynamic", "psnr"), ("dynamic", "ssim")]
    else:
        shown = [(region, name) for region in SHORT for name in wanted.names]
    headings = [
        METRICS[name].heading if region == "whole" else SHORT[region] + METRICS[name].heading.removesuffix(" dB")
        for region, name in shown
    ]
    table = Table(Column("method", no_wrap=True), *headings, "s")
    for entry in comparison.record["methods"]:
        if entry["status"] == "failed":
            table.add_row(escape(entry["name"]), "failed")
            continue
        cells = [METRICS[name].form.format(entry["scores"][region][name]) for region, name in shown]
        table.add_row(escape(entry["name"]), *cells, f"{entry['seconds']['total']:.1f}")
    console = Console()
    console.width = max(console.width, CELL * (len(headings) + 2))  # a narrow terminal wraps lines, and loses no figure
    console.print(table)
    static = "" if wanted is None else " stat.: the rest;"
    typer.echo(
        "Magnitudes, one least-squares scale per slice, peak = reference maximum; dyn.: the 10 % that moves most;"
        f"{static} SSIM window {SSIM_WINDOW} x {SSIM_WINDOW}, uniform."
    )
