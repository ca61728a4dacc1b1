"""`dainr motion`: write how tissue moves, between canonical space or any frame and any others."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dainr.errors import BadRequest

from .options import parse_matrix, parse_times
from .progress import Progress

if TYPE_CHECKING:
    from dainr.motion import Motion

CANONICAL, ALL = "canonical", "all"


def motion(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Argument(help="File to write: .nii.gz or .nii (mm, LPS, as ITK has it), .npy, .h5.")],
    start: Annotated[
        str, typer.Option("--from", metavar="N", help="The reference: the number of a frame, or canonical.")
    ] = CANONICAL,
    to: Annotated[str, typer.Option("--to", metavar="N", help="The number of a frame, or all.")] = ALL,
    eulerian: Annotated[
        bool,
        typer.Option("--eulerian", help="At the points of each frame, back to the reference; else from the reference."),
    ] = False,
    frames: Annotated[int | None, typer.Option(help="To N times, evenly spaced, in place of the frames.")] = None,
    times: Annotated[str | None, typer.Option(help="To these times in s: 0,0.1,0.2.")] = None,
    matrix: Annotated[str | None, typer.Option(help="On another matrix: 256 or 384x312.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write the displacement of every pixel in mm, in the format the suffix of OUT names.

    Example: dainr motion run motion.nii.gz --from 0 --to all
    """
    from dainr.export import check_target, export_motion, motion_targets
    from dainr.io.images.displacement import SUFFIXES
    from dainr.runs.run import load_run

    check_target(out, force, SUFFIXES)
    if sum(given is not None for given in (frames, times, None if to == ALL else to)) > 1:
        raise BadRequest("--to, --frames and --times", "each says where the motion leads", "give one of them")
    size, moments = parse_matrix(matrix), parse_times(times)
    recon = load_run(run)
    known = recon.cine.times.tolist()
    reference = None if start == CANONICAL else known[frame_of("--from", start, len(known), CANONICAL)]
    if to != ALL:
        moments = [known[frame_of("--to", to, len(known), ALL)]]
    progress = Progress()
    progress.show_log()
    try:
        found = recon.displacement(moments, size, reference, "eulerian" if eulerian else "lagrangian", frames)
        files = motion_targets(found, out)
        for file in files:
            check_target(file, force, SUFFIXES)
        export_motion(found, out)
    finally:
        progress.close()
    typer.echo(f"{', '.join(map(str, files))}: {_said(found, start)}", err=True)


def frame_of(option: str, text: str, n_frames: int, other: str = "") -> int:
    """The number of a frame. Raises BadRequest."""
    if not text.isdecimal() or int(text) >= n_frames:
        fix = f"choose 0 to {n_frames - 1}" + (f", or {other}" if other else "")
        raise BadRequest(f"{option} {text}", "there is no such frame", fix)
    return int(text)


def _said(found: "Motion", start: str) -> str:
    """What was written, in words."""
    import numpy as np

    n_slices, n_frames, _, ny, nx = found.displacement.shape
    where = "canonical space" if found.reference is None else f"frame {start}"
    way = f"from {where} to" if found.kind == "lagrangian" else f"back to {where} from"
    largest = float(np.hypot(found.mm[:, :, 0], found.mm[:, :, 1]).max())
    folds = int(found.folded.sum())
    of = f"{n_slices} slice{'s' * (n_slices > 1)}, {n_frames} frame{'s' * (n_frames > 1)} of {ny} x {nx}"
    folding = f"it folds in {folds} of {found.folded.size} pixels" if folds else "it folds nowhere"
    return f"{way} {of}; at most {largest:.1f} mm; {folding}"
