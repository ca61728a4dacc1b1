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
    from dainr.settings.presets import preset_about

    for name in METHODS:
        method = get_method(name)
        typer.echo(f"{name}: {method.about}")
        if settings:
            defaults = default_settings(method.Config)
            for key, values in list_settings(method.Config).items():
                typer.echo(f"  {key} = {defaults[key]}  ({values})")
    for name in METHODS:
        presets = get_method(name).presets
        if presets:
            typer.echo(f"presets of {name}:")
        for preset in presets:
            typer.echo(f"  {preset}: {preset_about(preset, name)}")
