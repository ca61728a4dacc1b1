"""`dainr evaluate`: scores of a run against a reference."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a series in a file (.npy, NIfTI, .h5).")],
    reference: Annotated[Path, typer.Argument(help="The reference: .npy, NIfTI, or a scan or cine in HDF5.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score a reconstruction: PSNR, SSIM, NRMSE and HaarPSI, whole image and dynamic region.

    Example: dainr evaluate run reference.npy
    """
    from dainr.assess.scores import SSIM_WINDOW
    from dainr.assess.scores import evaluate as score
    from dainr.io.images.series import read_series
    from dainr.runs.run import load_run

    series = load_run(run).cine.data if run.is_dir() else read_series(run)
    scores = score(series, read_series(reference))
    if as_json:
        typer.echo(json.dumps(asdict(scores)))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("region", "PSNR dB", "SSIM", "NRMSE", "HaarPSI")
    for name, region in (("whole image", scores.whole), ("dynamic 10 %", scores.dynamic)):
        table.add_row(name, f"{region.psnr:.2f}", f"{region.ssim:.4f}", f"{region.nrmse:.4f}", f"{region.haarpsi:.4f}")
    Console().print(table)
    typer.echo(
        "Magnitudes, one least-squares scale per slice, peak = reference maximum;"
        f" SSIM window {SSIM_WINDOW} x {SSIM_WINDOW}, uniform."
    )
