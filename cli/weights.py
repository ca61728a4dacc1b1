"""`dainr weights`: the weights that are installed, and installing more."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from dainr.errors import BadRequest


def weights(
    action: Annotated[
        Literal["import"] | None, typer.Argument(help="import installs FILE; without it, list them.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Weights of dainr train or of pretrained.train; a checkpoint of the MDSR baseline, the official .pt or"
            " .safetensors; or a part of DISTS's weights."
        ),
    ] = None,
    licence: Annotated[str, typer.Option(help="The licence they come under, to be listed.")] = "not stated",
    force: Annotated[bool, typer.Option("--force", help="Replace weights of the same name.")] = False,
) -> None:
    """List the weights that are installed, or install a file of them, for --set weights=NAME or encoder_weights=NAME.

    Example: dainr weights import weights.safetensors
    """
    from dainr.networks.dists import SHA256
    from dainr.networks.weights import RANDOM, encoders_installed, import_weights, installed_weights, weights_folder

    if action is not None:
        if file is None:
            raise BadRequest("dainr weights import", "it names no file", "give the checkpoint to install")
        added = import_weights(file, licence, force)
        if added.name in SHA256:
            use = "dainr evaluate --metrics dists"
        elif added.method:
            use = f"--method {added.method} --set weights={added.name}"
        else:
            use = f"--set encoder={encoders_installed()[added.name]} --set encoder_weights={added.name}"
        typer.echo(f"{added.path}: installed; use it by {use}", err=True)
        return
    typer.echo(f"{RANDOM}: drawn from the seed of the fit")
    for name, entry in installed_weights().items():
        damage = "" if entry.whole() else f"; DAMAGED, run: {entry.repair}"
        method = f"method {entry.method}; " if entry.method else ""
        typer.echo(
            f"{name}: {method}from {entry.source}; licence {entry.licence}; SHA-256 {entry.source_sha256}{damage}"
        )
    try:
        typer.echo(f"folder: {weights_folder()}", err=True)
    except BadRequest as none:
        typer.echo(str(none), err=True)
