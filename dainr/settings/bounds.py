"""Bounds of settings, declared where a setting is: a number beyond them is refused when the config is made."""

import dataclasses
from typing import Any

from dainr.errors import BadRequest

BOUNDS = "bounds"


def within(default: Any, lowest: float, highest: float) -> Any:
    """A dataclass field with this default whose values lie between two bounds, themselves included."""
    return dataclasses.field(default=default, metadata={BOUNDS: (lowest, highest)})


def check_bounds(config: Any) -> None:
    """Raises BadRequest where a field of a dataclass is not within its bounds.

    A subclass that gives a field another default leaves it the bounds that it has.
    """
    kinds = filter(dataclasses.is_dataclass, reversed(type(config).__mro__))
    declared = [f for kind in kinds for f in dataclasses.fields(kind) if BOUNDS in f.metadata]
    for name, (lowest, highest) in {f.name: f.metadata[BOUNDS] for f in declared}.items():
        value = getattr(config, name)
        if not lowest <= value <= highest:
            fix = f"choose {_in_words(lowest)} to {_in_words(highest)}"
            raise BadRequest(f"{name}={value}", "it is out of range", fix)


def _in_words(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)
