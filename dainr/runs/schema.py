"""Patterns of what JSON and TOML hold, written in their own form, and what is wrong with a value that is held to one.

A pattern is a type (`float`: any finite number), a set of the texts that may stand there, `[one]` for a list whose
entries are all of that pattern, a tuple of patterns for a list of just those, a mapping of names to patterns, where
"name?" may be missing and other names are let be (not by `Only`), or `{str: one}` for a mapping of any names.
"""

import math
from collections.abc import Mapping
from typing import Any

IN_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a table",
    list: "a list",
}
LARGEST = 2**63  # of whole numbers


class Only(dict[str, Any]):
    """A mapping of names to patterns that no other names may stand beside."""


def fault(value: Any, pattern: Any, where: str = "it") -> str:
    """What is wrong with a value, such as "slices[0].fit.steps is not a whole number"; nothing where it is as it must.

    `where`: what the value itself is called.
    """
    if isinstance(pattern, type):
        return "" if _is(value, pattern) else f"{where} is not {IN_WORDS[pattern]}"
    if isinstance(pattern, set):
        return "" if isinstance(value, str) and value in pattern else f"{where} is not {' or '.join(sorted(pattern))}"
    if isinstance(pattern, list | tuple):
        if not isinstance(value, list):
            return f"{where} is not a list"
        if isinstance(pattern, tuple) and len(value) != len(pattern):
            return f"{where} has {len(value)} entries and not {len(pattern)}"
        patterns = pattern if isinstance(pattern, tuple) else pattern * len(value)
        parts = [(one, wanted, f"{where}[{i}]") for i, (one, wanted) in enumerate(zip(value, patterns, strict=True))]
    else:
        if not isinstance(value, dict):
            return f"{where} is not a table"
        parts = []
        other = isinstance(pattern, Only) and value.keys() - {name.removesuffix("?") for name in pattern}
        if other:
            return f"{where} has {min(other)!r}, which is not known"
        for name, wanted in _names(value, pattern).items():
            inner = name if where == "it" else f"{where}.{name}"
            if name not in value:
                return f"{inner} is missing"
            parts.append((value[name], wanted, inner))
    return next((found for one, wanted, inner in parts if (found := fault(one, wanted, inner))), "")


def _names(value: Mapping[str, Any], pattern: Mapping[Any, Any]) -> dict[str, Any]:
    """The names that a mapping must have or has, with their patterns."""
    if str in pattern:
        return dict.fromkeys(value, pattern[str])
    names = {name.removesuffix("?"): (wanted, name.endswith("?")) for name, wanted in pattern.items()}
    return {name: wanted for name, (wanted, may_lack) in names.items() if name in value or not may_lack}


def _is(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and kind is bool
    if isinstance(value, int) and kind in (int, float):
        return abs(value) < LARGEST
    return isinstance(value, kind) and (not isinstance(value, float) or math.isfinite(value))
