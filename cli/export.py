"""`dainr export`: write the cine of a run, at any number of frames and any matrix."""

from pathlib import Path
from typing import Annotated

import typer

from dainr.errors import BadRequest

from .options import parse_matrix, parse_times
from .progress import Progress


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[
        Path, typer.Argument(help="File to write: .npy .h5 .nii .nii.gz .mp4 .gif .png .cfl .mrd, or folder dicom.")
    ],
    frames: Annotated[int | None, typer.Option(help="Render N frames, evenly spaced.")] = None,
    times: Annotated[str | None, typer.Option(help="Render these times in s: 0,0.1,0.2.")] = None,
    matrix: Annotated[str | None, typer.Option(help="Render on another matrix: 256 or 384x312.")] = None,
    magnitude: Annotated[
        bool,
        typer.Option("--magnitude", help="Magnitudes, not complex numbers (.npy as float32, .h5, .cfl, .mrd)."),
    ] = False,
    error_map: Annotated[
        bool,
        typer.Option("--error-map", help="The error map of the run in place of its cine (.npy as float32)."),
    ] = False,
    one_series_per_slice: Annotated[
        bool, typer.Option("--one-series-per-slice", help="DICOM: each slice is a series of its own.")
    ] = False,
    like: Annotated[
        Path | None,
        typer.Option(help="DICOM: take patient, study and frame of reference from this image of the scanner's."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write the cine of a run, in the format the suffix of OUT names.

    Example: dainr export run cine.nii.gz --frames 50 --matrix 384
    """
    from dainr.export import check_target, targets
    from dainr.export import export as write
    from dainr.io.images.dicom import FOLDER, DicomOptions
    from dainr.runs.folder import FILES
    from dainr.runs.owned import MARKER
    from dainr.runs.run import load_run

    check_target(out, force)
    if out.resolve() in {run.resolve() / name for name in (*FILES, MARKER)}:
        raise BadRequest(str(out), "it is a file of the run itself", "choose another name")
    if (like is not None or one_series_per_slice) and not out.name.endswith(FOLDER):
        raise BadRequest(str(out), "--like and --one-series-per-slice are for DICOM", f"end its name with {FOLDER}")
    if frames is not None and times is not None:
        raise BadRequest("--frames and --times", "both say which frames to render", "give one of them")
    size, moments = parse_matrix(matrix), parse_times(times)
    if error_map and (frames, moments, size) != (None, None, None):
        raise BadRequest("--error-map", "it is known at the frames and pixels of the scan", "give it without others")
    recon = load_run(run)
    cine = recon.error_cine if error_map else recon.render(frames, moments, size)
    files = targets(cine, out)
    for file in files:
        check_target(file, force)
    progress = Progress()
    progress.show_log()
    try:
        write(cine, out, magnitude or error_map, DicomOptions(one_series_per_slice, like))
    finally:
        progress.close()
    n_slices, n_frames, ny, nx = cine.data.shape
    written = ", ".join(map(str, files))
    typer.echo(f"{written}: {n_slices} slice{'s' * (n_slices > 1)}, {n_frames} frames of {ny} x {nx}", err=True)
