"""`dainr doctor`: what is installed here, and what a fit would use."""

from typing import Annotated

import typer

from dainr.errors import BadRequest, DainrError


def doctor(
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Also check a GPU: its arithmetic, NUFFT and a small fit, beside the CPU's.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="With --gpu: which one, cuda:1; cpu shows what is checked.  [default: cuda]")
    ] = None,
) -> None:
    """Say which devices, backends and versions are here.

    Example: dainr doctor --gpu
    """
    if device is not None and not gpu:
        raise BadRequest(f"--device {device}", "it says what --gpu checks", "add --gpu")
    _say_what_is_here()
    if gpu:
        _check(device or "cuda")


def _check(device: str) -> None:
    """Say what the check of a device finds, as it comes; the exit code tells if something is wrong."""
    from dainr.studies.self_check import self_check

    wrong = 0
    typer.echo("")
    for finding in self_check(device):
        wrong += not finding.right
        typer.echo(f"{finding.name}: {finding.text}{'' if finding.right else '  <- wrong'}")
    typer.echo("")
    if wrong:
        typer.echo(f"{wrong} of this is wrong: do not fit on {device}.", err=True)
        raise typer.Exit(DainrError.exit_code)
    typer.echo(f"{device} computes what the CPU does.")


def _say_what_is_here() -> None:
    import importlib.util
    import os

    import torch

    from dainr.machine.device import device_name
    from dainr.machine.threads import WAITING
    from dainr.operators.nufft import BACKENDS, available_backends, why_missing
    from dainr.runs.run import versions

    for package, version in versions().items():
        typer.echo(f"{package} {version}")
    typer.echo(f"cpu: {device_name('cpu')}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            typer.echo(f"cuda:{index}: {device_name(f'cuda:{index}')}")
    else:
        typer.echo("cuda: none; fits run on the CPU")
    for device in ("cpu", "cuda"):
        if device == "cpu" or torch.cuda.is_available():
            typer.echo(f"NUFFT backends on {device}: {', '.join(available_backends(torch.device(device)))}")
    missing = {name: why for name in BACKENDS if (why := why_missing(name))}
    if missing:
        reasons = "; ".join(f"{name} ({why})" for name, why in missing.items())
        typer.echo(f"NUFFT backends not used here, and not needed: {reasons}")
    installed = importlib.util.find_spec("tinycudann") is not None
    typer.echo(
        f"hash grid: native{', tinycudann' if installed else ' (tinycudann is not installed; nothing needs it)'}"
    )
    for name in WAITING:
        typer.echo(f"{name}={os.environ.get(name, '')}")
