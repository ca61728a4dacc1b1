"""`dainr convert`: a scan from one format to another."""

from pathlib import Path
from typing import Annotated

import typer

from dainr.errors import BadRequest

from . import options


@options.shared(leave_out=options.SHARED)
def convert(
    scan: Annotated[Path, typer.Argument(help="Scan file of any known format.")],
    out: Annotated[Path, typer.Argument(help="File to write.")],
    to: Annotated[str | None, typer.Option(help="native or ismrmrd.  [default: ismrmrd for .mrd, else native]")] = None,
    mask: Annotated[
        Path | None, typer.Option(help="Undersample a fully sampled scan by this sampling mask (.mat, .npy).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    *,
    asked: options.Asked,
) -> None:
    """Write a scan in another format: dainr's native HDF5 or ISMRMRD.

    With --mask only what the mask keeps; the images of all lines become the reference to evaluate with.

    Example: dainr convert scan.h5 scan_native.h5
    """
    from dainr.io import load, load_mask
    from dainr.io.scans.formats import WRITERS

    kind = to or ("ismrmrd" if out.suffix == ".mrd" else "native")
    if kind not in WRITERS:
        raise BadRequest(f"--to {kind}", "there is no such format", f"choose {' or '.join(WRITERS)}")
    if out.suffix not in (".h5", ".hdf5", ".mrd"):
        raise BadRequest(str(out), "its suffix is not that of a scan file", "end it with .h5, .hdf5 or .mrd")
    if out.exists() and not force:
        raise BadRequest(str(out), "it exists already", "choose another name, or --force to replace it")
    loaded = load(scan, asked.reading)
    if mask is not None:
        from dainr.prepare.undersample import undersample

        loaded = undersample(loaded, load_mask(mask))
    WRITERS[kind](loaded, out)
    many = loaded.n_slices > 1
    readouts = f"{loaded.n_readouts} readouts{' each' * many}"
    typer.echo(f"{out}: {kind}, {loaded.n_slices} slice{'s' * many}, {readouts}", err=True)
