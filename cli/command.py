"""A command whose help shows options by what they are for: each panel under its own heading."""

from typing import Any

from typer.core import TyperCommand

OPTIONS = "Options"  # the heading of those without a panel


class Command(TyperCommand):
    """A command of the program."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options, then those of every panel."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], OPTIONS: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                panel = getattr(parameter, "rich_help_panel", None)
                heading = "Arguments" if parameter.param_type_name == "argument" else panel or OPTIONS
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
