"""`dainr methods`: what can reconstruct a scan, with which presets and settings."""

from typing import Annotated

import typer


def methods(
    settings: Annotated[
        bool, typer.Option("--settings", help="List every setting --set reaches, its default and its values.")
    ] = False,
) -> None:
    """List the reconstruction methods and presets.

    Example: dainr methods --settings
    """
    from dainr.methods import METHODS, get_method
    from dainr.settings.build import default_settings, list_settings
    from dainr.settings.presets import preset_about, preset_names

    for name in METHODS:
        method = get_method(name)
        typer.echo(f"{name}: {method.about}")
        if settings:
            defaults = default_settings(method.Config)
            for key, values in list_settings(method.Config).items():
                typer.echo(f"  {key} = {defaults[key]}  ({values})")
    typer.echo("presets of dainr:")
    for name in preset_names():
        typer.echo(f"  {name}: {preset_about(name)}")
