"""Putting a page together: one HTML file with style, script and pictures in it and nothing outside it."""

import json
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup


def render(template: str, player: dict[str, Any], styles: tuple[str, ...] = (), **context: Any) -> str:
    """A page from a template, what its player shows, the styles it adds to the common one, and its facts."""
    loader = jinja2.FunctionLoader(_part)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(
        style=Markup("".join(_part(name) for name in ("style.css", *styles))),
        script=Markup(_part("player.js")),
        player=Markup(json.dumps(player).replace("</", "<\\/")),
        **context,
    )


def _part(name: str) -> str:
    return resources.files("dainr.report").joinpath("templates", name).read_text(encoding="utf-8")
