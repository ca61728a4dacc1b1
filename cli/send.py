"""`dainr send`: a scan to a server of the ISMRMRD streaming protocol, and its images back."""

from pathlib import Path
from typing import Annotated

import typer

from dainr.errors import BadRequest

from .progress import tell


def send(
    scan: Annotated[Path, typer.Argument(help="Scan file of any known format.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File for the images: ISMRMRD, .mrd or .h5.")],
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the server listens.")] = "127.0.0.1:9002",
    config: Annotated[
        str, typer.Option(help="What the server is to do: a method, a preset, or a name that it knows.")
    ] = "default",
    pairs: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter for the server."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Which of several measurements in a file: its name, or its number from 0."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Send a scan to dainr serve, or another server of its protocol, and write the images that come back.

    Example: dainr send scan.h5 --to localhost:9002 -o images.mrd --config dainr_fast
    """
    from dainr.export import check_target
    from dainr.serve.client import Wish, send_scan

    check_target(output, force, (".mrd", ".h5", ".hdf5"))
    parameters = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadRequest(f"--set {pair}", "there is no = in it", "write --set key=value")
        parameters[key.strip()] = value.strip()
    count = send_scan(scan, to, output, Wish(config, parameters), dataset, tell)
    tell(f"{output}: {count} image{'s' * (count > 1)}")
