"""Putting a page together: one HTML file with style, script and pictures in it and nothing outside it."""

import base64
import hashlib
import json
import re
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

POLICY = "the-policy-of-this-page"  # until the page, whose scripts it names, is whole
SCRIPTS = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def render(
    template: str,
    player: dict[str, Any],
    styles: tuple[str, ...] = (),
    scripts: tuple[str, ...] = (),
    **context: Any,
) -> str:
    """A page from a template, what its player shows, the styles and scripts it adds to the common ones, its facts."""
    loader = jinja2.FunctionLoader(_part)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template(template).render(
        policy=POLICY,
        style=Markup("".join(_part(name) for name in ("style.css", *styles))),
        script=Markup("".join(_part(name) for name in ("player.js", *scripts))),
        player=Markup(json.dumps(player).replace("<", "\\u003c")),
        **context,
    )
    page = page.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # names of files may be no UTF-8
    return page.replace(POLICY, policy_of(page), 1)


def render_text(template: str, **context: Any) -> str:
    """A text that is no page from a template and its facts: nothing in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_part), undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.get_template(template).render(**context)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") + "\n"


def policy_of(page: str) -> str:
    """The Content-Security-Policy of a page: its scripts are those that are in it by our templates, by their hashes.

    Nothing is loaded but pictures that lie in the page itself. https://www.w3.org/TR/CSP3/
    """
    scripts = " ".join(f"'sha256-{digest}'" for digest in _digests(page)) or "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def is_whole(page: str) -> bool:
    """Whether a page has its end, and the scripts that its policy names; some of older versions have no policy."""
    told = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    named = told is None or all(f"'sha256-{digest}'" in told[1] for digest in _digests(page))
    return page.startswith("<!doctype html>") and page.rstrip().endswith("</html>") and named


def _digests(page: str) -> list[str]:
    """The hashes of its scripts."""
    hashes = (hashlib.sha256(script.encode("utf-8")).digest() for script in SCRIPTS.findall(page))
    return [base64.b64encode(digest).decode("ascii") for digest in hashes]


def _part(name: str) -> str:
    return resources.files("dainr.report").joinpath("templates", name).read_text(encoding="utf-8")
