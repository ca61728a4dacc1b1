"""`dainr propagate`: labels drawn on one frame, carried to all; areas, volumes and the ejection fraction."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .motion import frame_of
from .progress import Progress
from .tracked import check_folder, check_one_stack, say_assumed, say_doubts

if TYPE_CHECKING:
    from dainr.methods.recon import Recon
    from dainr.motion.labels import Volumes

LABELS, TABLE, SUMMARY, CURVES = "labels.nii.gz", "volumes.csv", "summary.json", "volumes.svg"
LITTLE_EXPLAINED = (
    "Trust is low: about label {} the motion explains {:.0f} % of what changes, and the rest was fitted without it;"
    " volumes and the ejection fraction may be off."
)
ONE_SLICE = "Of a single slice: volumes are of that slice alone, and the ejection fraction is that of its area."


def propagate(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    mask: Annotated[
        Path, typer.Argument(help="Labels drawn on one frame: NIfTI of any matrix and orientation that overlays.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder for labels.nii.gz, volumes.csv, volumes.svg and summary.json.")],
    frame: Annotated[str, typer.Option(metavar="N", help="The frame they were drawn on.")] = "0",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace these files if they exist.")] = False,
) -> None:
    """Carry labels to all frames: areas and volumes over time, end-diastolic and end-systolic, ejection fraction.

    Example: dainr propagate run mask.nii.gz labels --frame 0
    """
    import numpy as np

    from dainr.io.hdf5 import write_whole
    from dainr.io.images.mask import read_mask
    from dainr.io.images.nifti import write_maps
    from dainr.io.tables import write_volumes
    from dainr.motion.explained import about, explained
    from dainr.motion.labels import as_labels, carried, volumes
    from dainr.report.curves import volume_curves
    from dainr.runs.run import load_run

    check_folder(out, (LABELS, TABLE, SUMMARY, CURVES), force)
    recon = load_run(run)
    check_one_stack(recon.cine)
    times = recon.cine.times
    drawn_on = frame_of("--frame", frame, len(times))
    progress = Progress()
    progress.show_log()
    try:
        motion = recon.displacement(reference=float(times[drawn_on]), kind="eulerian")
        shares, numbers = read_mask(mask, recon.cine, drawn_on)
    finally:
        progress.close()
    tracked = carried(shares, motion)
    found = dict(zip(numbers.tolist(), volumes(tracked, motion), strict=True))
    images = np.abs(recon.cine.data)
    shown = {n: explained(images, motion, drawn_on, about(one)) for n, one in zip(found, tracked, strict=True)}
    summary = {
        "frame": drawn_on,
        "slices": len(recon.cine.data),
        "trust": recon.record["verdict"][0],
        "labels": {
            str(number): one.summary | {"motion_explains_percent": 100 * shown[number]} for number, one in found.items()
        },
    }
    out.mkdir(exist_ok=True)
    write_maps(as_labels(tracked, numbers), recon.cine, out / LABELS)
    write_volumes(found, times, out / TABLE)
    for name, text in ((SUMMARY, json.dumps(summary, indent=1) + "\n"), (CURVES, volume_curves(found, times))):
        with write_whole(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    typer.echo(json.dumps(summary) if as_json else "\n".join(_said(number, one) for number, one in found.items()))
    _warn(recon, shown)


def _warn(recon: "Recon", shown: Mapping[int, float]) -> None:
    """Say on stderr what speaks against the volumes; `shown` is how much of each label's change its motion explains."""
    from dainr.motion.explained import ENOUGH_EXPLAINED

    for number, share in shown.items():
        if share < ENOUGH_EXPLAINED:
            typer.echo(LITTLE_EXPLAINED.format(number, 100 * max(share, 0.0)), err=True)
    if len(recon.cine.data) == 1:
        typer.echo(ONE_SLICE, err=True)
    say_assumed(recon)
    say_doubts(recon.record)


def _said(number: int, one: "Volumes") -> str:
    """A label in one line."""
    s = one.summary
    return (
        f"label {number}: {s['end_diastolic_ml']:.1f} ml in frame {s['end_diastolic_frame']},"
        f" {s['end_systolic_ml']:.1f} ml in frame {s['end_systolic_frame']}, stroke volume {s['stroke_ml']:.1f} ml,"
        f" ejection fraction {s['ejection_fraction_percent']:.0f} %"
    )
