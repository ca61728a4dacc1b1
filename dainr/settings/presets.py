"""Presets: settings to start from, shipped as TOML files or given by one's path."""

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest

DEFAULT_METHOD, DEFAULT_PRESET = "dainr", "default"  # only the neural field has presets


def choose_preset(method: str, preset: str | None) -> str:
    """The preset in use, "none" for a method that has none. Raises BadRequest for one given to such a method."""
    if method == DEFAULT_METHOD:
        return preset or DEFAULT_PRESET
    if preset is not None:
        raise BadRequest(f"--preset {preset}", f"method {method} has no presets", "leave it out")
    return "none"


def preset_settings(method: str, preset: str) -> dict[str, Any]:
    """The settings a method starts from: its preset's, or nothing. Raises BadRequest when there is no such preset."""
    return read_preset(preset) if method == DEFAULT_METHOD else {}


def preset_names() -> list[str]:
    """Names of the presets that come with the program."""
    folder = resources.files("dainr.settings").joinpath("presets")
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def preset_about(name: str) -> str:
    """What a preset says of itself."""
    return str(_read_toml(name).get("about", ""))


def read_preset(name: str) -> dict[str, Any]:
    """The settings of a shipped preset, or of a TOML file given by its path.

    Raises BadRequest when there is no such preset or the file is not TOML.
    """
    return {key: value for key, value in _read_toml(name).items() if key != "about"}


def _read_toml(name: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise BadRequest(f"--preset {name}", "there is no such file", "name a TOML file or a preset")
        text = path.read_text(encoding="utf-8", errors="replace")
    else:
        if name not in preset_names():
            raise BadRequest(
                f"--preset {name}", "there is no such preset", f"choose {' or '.join(preset_names())}, or a .toml file"
            )
        text = resources.files("dainr.settings").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"--preset {name}", f"it is not valid TOML ({error})", "correct the file") from error
