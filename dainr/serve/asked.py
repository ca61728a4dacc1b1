"""What a client asks for: a configuration by its name, and parameters beside it.

A configuration is a method, one of its presets (`dainr_fast`; of dainr's own, `fast`), or a file of settings in the
server's folder of presets. Parameters are options of `dainr fit` and settings by their names, and `images` and
`preview`; those that name a file or a device are the server's alone.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest
from dainr.methods import METHODS, get_method
from dainr.settings.build import list_settings, renamed
from dainr.settings.presets import DEFAULT_METHOD, preset_names

AS_STARTED = ("", "default", "openrecon")  # configurations that mean what the server was started with
WHOLE = ("iterations", "spokes_per_frame", "every", "frames_per_cycle", "respiratory_bins", "seed")
OF_READING = ("pixel_mm", "slice_mm", "frame_ms", "readout_ms", "contrast", "set_index", "repetition", "average")
OPTIONS = (
    *("preset", "budget", "slices", "matrix", "error_map", *WHOLE),
    *(*OF_READING, "trajectory", "trajectory_unit", "time_unit"),
)
OF_A_METHOD = ("iterations", "budget", "error_map", "set")  # what another method may not know
OWN, CONFIGS = ("images", "preview"), ("config", "customconfig")
IMAGES = ("auto", "int16", "float", "complex")
NO = ("", "no", "none", "false", "off")
YES = ("yes", "true", "on", "1")
SHOWN = 200  # characters of what a client wrote


@dataclass(frozen=True)
class Order:
    """What is to be done with a scan."""

    config: str = ""  # as it was asked for
    options: Mapping[str, Any] = field(default_factory=dict)  # of dainr fit, by name
    images: str = "auto"
    preview: str = ""  # a configuration, or none


@dataclass(frozen=True)
class Offer:
    """What a server does: as it was started, and what a client may ask for beside."""

    started: Order = Order()
    presets: Path | None = None  # a folder of .toml files
    check: Callable[[Mapping[str, Any]], None] = lambda options: None  # raises BadRequest for what cannot be

    def order(self, config: str, parameters: Mapping[str, Any]) -> Order:
        """What a client asks for. Raises BadRequest, which says what there is."""
        values = {name: value for name, value in parameters.items() if _plain(name) not in CONFIGS}
        for wanted in CONFIGS:
            told = next((str(value) for name, value in parameters.items() if _plain(name) == wanted), "")
            config = told.strip() or config
        options = self.configured(config)
        order = replace(self.started, config=config, options=options)
        for name, value in values.items():
            order = self._with(order, name, value)
        self.check(order.options)
        if order.preview:
            self.check(self.preview_options(order))
        return order

    def configured(self, config: str) -> dict[str, Any]:
        """The options of a configuration. Raises BadRequest where there is none of that name."""
        name = config.strip().removesuffix(".xml")
        started = dict(self.started.options)
        if name.lower() in AS_STARTED:
            return started
        options = self._configs().get(name)
        if options is not None:
            same = options["method"] == started.get("method", DEFAULT_METHOD)
            kept = {key: value for key, value in started.items() if same or key not in OF_A_METHOD}
            return {key: value for key, value in kept.items() if key not in ("method", "preset")} | options
        raise BadRequest(
            f"configuration {name[:SHOWN]!r}", "there is none of that name", f"choose {', '.join(self._configs())}"
        )

    def preview_options(self, order: Order) -> dict[str, Any]:
        """The options of an order's preview: frames, slices and reading as the order has them."""
        shared = {key: value for key, value in order.options.items() if key not in ("method", "preset", *OF_A_METHOD)}
        return self.configured(order.preview) | shared

    def _configs(self) -> dict[str, dict[str, str]]:
        """Method, and preset, of every configuration by its name."""
        found: dict[str, dict[str, str]] = {method: {"method": method} for method in METHODS}
        for method in METHODS:
            for preset in preset_names(method):
                found[f"{method}_{preset}"] = {"method": method, "preset": preset}
        for preset in preset_names(DEFAULT_METHOD):
            found.setdefault(preset, {"method": DEFAULT_METHOD, "preset": preset})
        for path in sorted(self.presets.glob("*.toml")) if self.presets is not None else ():
            named = (m for m in METHODS if path.stem.startswith(f"{m}_") and preset_names(m))
            method = next(named, DEFAULT_METHOD)
            found[path.stem] = {"method": method, "preset": str(path.resolve())}
        return found

    def _with(self, order: Order, name: str, value: Any) -> Order:
        """The order with a parameter. Raises BadRequest."""
        if isinstance(value, dict | list) or value is None or len(str(value)) > SHOWN:
            raise BadRequest(f"parameter {name[:SHOWN]}", "its value is no number, word or truth value", "correct it")
        text = str(value).strip()
        plain = _plain(name)
        if plain == "images":
            return replace(order, images=_one_of(IMAGES, text or self.started.images, "images"))
        if plain == "preview":
            return replace(order, preview="" if text.lower() in NO else text)
        for option in OPTIONS:
            if plain == _plain(option):
                return _with_option(order, option, value, text)
        return self._with_setting(order, name, text)

    def _with_setting(self, order: Order, name: str, text: str) -> Order:
        kind = get_method(order.options.get("method", DEFAULT_METHOD)).Config
        wanted = next((new for old, new in renamed(kind).items() if _plain(old) == _plain(name)), name)
        known = [path for path, values in list_settings(kind).items() if values != "text"]
        found = [path for path in known if _plain(path) == _plain(wanted)]
        found = found or [path for path in known if _plain(path.rpartition(".")[2]) == _plain(wanted)]
        if len(found) > 1:
            raise BadRequest(f"parameter {name}", "several settings have that name", f"write {' or '.join(found)}")
        if found:
            pairs = [*order.options.get("set", []), f"{found[0]}={text}"]
            return order if not text else replace(order, options={**order.options, "set": pairs})
        choice = ", ".join((*CONFIGS, *OWN, *OPTIONS))
        raise BadRequest(f"parameter {name[:SHOWN]!r}", "there is none of that name", f"choose {choice} or a setting")


def read_parameters(text: str) -> dict[str, Any] | None:
    """The parameters in a text, by name; None where it is no JSON object. They may stand under "parameters"."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    inner = content.get("parameters", {key: value for key, value in content.items() if key != "version"})
    return inner if isinstance(inner, dict) else None


def _with_option(order: Order, option: str, value: Any, text: str) -> Order:
    """The order with an option of dainr fit; an empty text, and nought where none can be meant, leave it as it is."""
    options = dict(order.options)
    if not text:
        return order
    if option in WHOLE:
        number = _whole(option, value)
        if number or option == "seed":
            options[option] = number
    elif option == "error_map":
        options[option] = _truth(option, text)
    elif option == "preset":
        names = preset_names(options.get("method", DEFAULT_METHOD))
        options[option] = _one_of(names, text, option)
    elif text != "0" or option in ("contrast", "set_index", "repetition", "average", "slices"):
        options[option] = text
    return replace(order, options={name: value for name, value in options.items() if value is not False})


def _plain(name: str) -> str:
    """A name as Open Recon has it: of letters and digits alone."""
    return re.sub(r"[^a-z0-9.+]", "", name.lower())


def _one_of(choice: Any, text: str, name: str) -> str:
    if text not in choice:
        raise BadRequest(f"parameter {name}={text}", "that is not one of its values", f"choose {' or '.join(choice)}")
    return text


def _whole(name: str, value: Any) -> int:
    try:
        if isinstance(value, bool) or float(value) != int(float(value)):
            raise ValueError
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        raise BadRequest(f"parameter {name}={value}", "it is no whole number", "write one") from None


def _truth(name: str, text: str) -> bool:
    if text.lower() not in (*YES, *NO, "0"):
        raise BadRequest(f"parameter {name}={text}", "it is not true or false", "write true or false")
    return text.lower() in YES
