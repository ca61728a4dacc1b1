"""`dainr doctor`: what is installed here, and what a fit would use."""

import typer


def doctor() -> None:
    """Say which devices, backends and versions are here.

    Example: dainr doctor
    """
    import importlib.util
    import os

    import torch

    from dainr.machine.device import device_name
    from dainr.machine.threads import WAITING
    from dainr.operators.nufft import BACKENDS, available_backends
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
    missing = [name for name, (_, _, package, _) in BACKENDS.items() if importlib.util.find_spec(package) is None]
    if missing:
        typer.echo(f"NUFFT backends not installed: {', '.join(missing)}")
    installed = importlib.util.find_spec("tinycudann") is not None
    typer.echo(
        f"hash grid: native{', tinycudann' if installed else ' (tinycudann is not installed; nothing needs it)'}"
    )
    for name in WAITING:
        typer.echo(f"{name}={os.environ.get(name, '')}")
