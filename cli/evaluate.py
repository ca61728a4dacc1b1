"""`dainr evaluate`: scores of a run against a reference."""

import json
from pathlib import Path
from typing import Annotated

import typer

from . import options


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a series in a file (.npy, NIfTI, .h5).")],
    reference: Annotated[Path, typer.Argument(help="The reference: .npy, NIfTI, or a scan or cine in HDF5.")],
    metrics: options.Metrics = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a reconstruction: PSNR, SSIM, NRMSE and HaarPSI, whole image and dynamic region.

    Example: dainr evaluate run reference.npy
    """
    from dainr.assess.metrics import METRICS, REGIONS, choose_metrics
    from dainr.assess.scores import DYNAMIC_SHARE, SSIM_WINDOW
    from dainr.assess.scores import evaluate as score
    from dainr.io.images.series import read_series
    from dainr.runs.run import load_run

    wanted = choose_metrics(metrics)
    series = load_run(run).cine.data if run.is_dir() else read_series(run)
    scores = wanted.record(score(series, read_series(reference), wanted.dists))
    if as_json:
        typer.echo(json.dumps(scores))
        return
    from rich.console import Console
    from rich.table import Table

    names = ("whole image", f"dynamic {DYNAMIC_SHARE:.0%}", f"static {1 - DYNAMIC_SHARE:.0%}")
    table = Table("region", *(METRICS[metric].heading for metric in wanted.names))
    for name, region in list(zip(names, REGIONS, strict=True))[: None if metrics else 2]:
        table.add_row(name.replace("%", " %"), *(METRICS[m].form.format(scores[region][m]) for m in wanted.names))
    Console().print(table)
    typer.echo(
        "Magnitudes, one least-squares scale per slice, peak = reference maximum;"
        f" SSIM window {SSIM_WINDOW} x {SSIM_WINDOW}, uniform."
    )
