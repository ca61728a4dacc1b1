"""Prints docs/cli.md from the program's own commands: python docs/cli_reference.py > docs/cli.md."""

import inspect
from typing import Any

import typer

from dainr.cli import app

VALUES = {"int": "N", "float": "X", "str": "TEXT", "Path": "PATH"}
HEADER = """# Command line

Made from the program's own help by `make docs`. Data goes to stdout, everything a person reads to stderr.
Exit codes: 0 done, 2 wrong request, 3 bad data, 4 missing device or backend, 5 diverged, 130 interrupted (fits saved).
"""


def reference() -> str:
    """The commands, their arguments and options, in Markdown."""
    group: Any = typer.main.get_command(app)
    return "\n".join([HEADER, *(section(name, command) for name, command in group.commands.items())])


def section(name: str, command: Any) -> str:
    """One command: usage, what it does, its example and a table of its options."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(["dainr", name, *(p.name.upper() for p in arguments), *(["[OPTIONS]"] if options else [])])
    text, _, example = inspect.cleandoc(command.help).partition("Example:")
    lines = [f"## dainr {name}", "", f"    {usage}", "", text.strip(), "", f"Example: `{example.strip()}`", ""]
    lines += [f"- `{p.name.upper()}`: {p.help}" for p in arguments]
    for panel in dict.fromkeys(option.rich_help_panel for option in options):
        lines += ["", f"{panel}:"] if panel else []
        lines += ["", "| option | what it does |", "| --- | --- |"]
        lines += [f"| {flags(option)} | {cell(option.help)} |" for option in options if option.rich_help_panel == panel]
    return "\n".join([*lines, ""])


def flags(option: Any) -> str:
    """An option's names, and the kind of value it takes."""
    names = ", ".join(f"`{name}`" for name in option.opts)
    return names if option.is_flag else f"{names} {option.metavar or VALUES[option.bare_type()]}"


def cell(text: str) -> str:
    """Text that may stand in a table."""
    return " ".join(text.replace("|", "\\|").split())


if __name__ == "__main__":
    print(reference(), end="")
