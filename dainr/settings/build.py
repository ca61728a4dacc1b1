"""Settings: a method's config dataclass, changed by a preset and then by `key=value` pairs.

Keys are dotted paths into the nested dataclasses (`canonical.table.levels`), or just their last part where only one
setting has that name (`levels` has two: it must be spelled out). A setting that has another name now is known by its
old one, too: the dataclass lists both in `RENAMED`.
"""

import dataclasses
import difflib
import logging
import math
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from dainr.errors import BadRequest

log = logging.getLogger(__name__)

Config = TypeVar("Config")

UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
LONGEST_S = 366 * 24 * 3600.0


def parse_seconds(text: str, option: str) -> float:
    """Seconds of "60s", "5m", "1h" or "90". Raises BadRequest, naming the option, when it is no length of time."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)", text.strip().lower())
    if not match or match[2] not in UNITS or not float(match[1]) > 0:
        raise BadRequest(f"{option} {text}", "it is no length of time", "write 60s, 5m or 1h")
    if float(match[1]) * UNITS[match[2]] > LONGEST_S:
        raise BadRequest(f"{option} {text}", "it is longer than a year", "choose a shorter time")
    return float(match[1]) * UNITS[match[2]]


def step_limits(iterations: int | None, budget_s: float | None) -> list[str]:
    """How long a fit runs, as "key=value" pairs; a time alone leaves the number of steps open."""
    pairs = [] if iterations is None else [f"iterations={iterations}"]
    if budget_s is not None:
        pairs += [f"budget_s={budget_s}"] + (["iterations=0"] if iterations is None else [])
    return pairs


def build_config(kind: type[Config], preset: Mapping[str, Any], pairs: Sequence[str] = ()) -> Config:
    """A config of the given dataclass: its defaults, changed by a nested mapping, then by "key=value" strings.

    Old names are understood, and said. Raises BadRequest for an unknown or ambiguous key and for a value of the wrong
    type.
    """
    old_names = [key for key in (*preset, *(pair.partition("=")[0].strip() for pair in pairs)) if key in renamed(kind)]
    for key in dict.fromkeys(old_names):
        log.warning("the setting %s is called %s now", key, renamed(kind)[key])
    values = dict(_flatten(with_new_names(kind, preset)))
    known = dict(_leaves(kind))
    for path in values:
        if path not in known:
            raise _unknown(path, known)
    for path, text in by_path(kind, pairs).items():
        values[path] = _parse(text, known[path], path)
    return _construct(kind, values, "")


def by_path(kind: type, pairs: Sequence[str]) -> dict[str, str]:
    """What "key=value" strings set, by the dotted path each setting has now; of the same setting the last counts.

    Raises BadRequest for an unknown or ambiguous key and where there is no "=".
    """
    found, known = {}, dict(_leaves(kind))
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise BadRequest(f"--set {pair}", "there is no = in it", "write --set key=value")
        found[_find(renamed(kind).get(key.strip(), key.strip()), known)] = text.strip()
    return found


def with_new_names(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings under the names they have now, such as those of a run made before they were renamed."""
    return {renamed(kind).get(key, key): value for key, value in values.items()}


def renamed(kind: type) -> Mapping[str, str]:
    """The old names of settings of a config dataclass, and their new ones."""
    return getattr(kind, "RENAMED", {})


def config_dict(config: Any) -> dict[str, Any]:
    """A config as a nested mapping, ready for TOML."""
    return {
        f.name: config_dict(v) if dataclasses.is_dataclass(v := getattr(config, f.name)) else v
        for f in dataclasses.fields(config)
    }


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """The dotted keys in which two nested mappings differ."""
    a, b = dict(_flatten(ours)), dict(_flatten(theirs))
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


def list_settings(kind: type) -> dict[str, str]:
    """Every setting of a config dataclass by its dotted path, with its values or type in words."""
    return {path: _in_words(annotation) for path, annotation in _leaves(kind)}


def default_settings(kind: type) -> dict[str, Any]:
    """The default of every setting of a config dataclass, by its dotted path."""
    return dict(_flatten(config_dict(kind())))


def _leaves(kind: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    hints = typing.get_type_hints(kind)
    for f in dataclasses.fields(kind):
        annotation = hints[f.name]
        if dataclasses.is_dataclass(annotation):
            yield from _leaves(annotation, f"{prefix}{f.name}.")
        else:
            yield f"{prefix}{f.name}", annotation


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _find(key: str, known: Mapping[str, Any]) -> str:
    if key in known:
        return key
    matches = [path for path in known if path.endswith(f".{key}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise BadRequest(f"--set {key}", "several settings have that name", f"write {' or '.join(matches)}")
    raise _unknown(key, known)


def _unknown(key: str, known: Mapping[str, Any]) -> BadRequest:
    names = {path.rsplit(".", 1)[-1]: path for path in known} | {path: path for path in known}
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    fix = f"did you mean {names[close[0]]}?" if close else f"the settings are {', '.join(known)}"
    return BadRequest(f"setting {key}", "there is no such setting", fix.rstrip("?"))


def _parse(text: str, annotation: Any, path: str) -> Any:
    """A value from the command line's text."""
    if annotation is bool:
        if text.lower() in ("true", "yes", "on", "1"):
            return True
        if text.lower() in ("false", "no", "off", "0"):
            return False
        raise BadRequest(f"--set {path}={text}", "it is not true or false", "write true or false")
    if annotation in (int, float):
        try:
            return annotation(text)
        except ValueError:
            words = _in_words(annotation)
            raise BadRequest(f"--set {path}={text}", f"the value is not {words}", f"give {words}") from None
    return {str(choice): choice for choice in _choices(annotation) or ()}.get(text, text)


def _check(value: Any, annotation: Any, path: str) -> Any:
    """The value as the setting's type. Raises BadRequest when it is not one of its values."""
    choices = _choices(annotation)
    if choices is not None:
        if (type(value), value) not in [(type(choice), choice) for choice in choices]:
            raise BadRequest(f"{path}={value}", "that is not one of its values", f"choose {_in_words(annotation)}")
        return value
    if annotation is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not annotation or (annotation is float and not math.isfinite(value)):
        raise BadRequest(
            f"{path}={value}", f"the value is not {_in_words(annotation)}", f"give {_in_words(annotation)}"
        )
    return value


def _choices(annotation: Any) -> tuple[Any, ...] | None:
    return typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else None


def _in_words(annotation: Any) -> str:
    choices = _choices(annotation)
    if choices is not None:
        return " or ".join(map(str, choices))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", types.NoneType: "nothing"}
    return words[annotation]


def _construct(kind: type[Config], values: Mapping[str, Any], prefix: str) -> Config:
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    defaults = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name, f in defaults.items():
        path = f"{prefix}{name}"
        annotation = hints[name]
        if dataclasses.is_dataclass(annotation):
            inner = {key: value for key, value in values.items() if key.startswith(f"{path}.")}
            default = f.default_factory() if f.default_factory is not dataclasses.MISSING else None
            if inner and default is not None:
                base = {f"{path}.{k}": v for k, v in _flatten(config_dict(default))}
                inner = base | inner
            if inner:
                arguments[name] = _construct(typing.cast(type, annotation), inner, f"{path}.")
        elif path in values:
            arguments[name] = _check(values[path], annotation, path)
    return kind(**arguments)
