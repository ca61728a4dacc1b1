"""Presets: settings to start from, shipped as TOML files or given by one's path."""

import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from dainr.errors import BadRequest

DEFAULT_METHOD, DEFAULT_PRESET = "dainr", "default"
NONE = "none"  # the preset of a method that has none
FOLDER = resources.files("dainr.settings").joinpath("presets")  # a folder for each method that has presets


def choose_preset(method: str, offered: Sequence[str], preset: str | None) -> str:
    """The preset in use, of those a method offers the first if none is named; "none" where it offers none.

    Raises BadRequest for one given to a method without presets.
    """
    if offered:
        return preset or offered[0]
    if preset not in (None, NONE):
        raise BadRequest(f"--preset {preset}", f"method {method} has no presets", "leave it out")
    return NONE


def preset_names(method: str = DEFAULT_METHOD) -> list[str]:
    """Names of the presets of a method that come with the program."""
    folder = FOLDER.joinpath(method)
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir()) if folder.is_dir() else []


def preset_about(name: str, method: str = DEFAULT_METHOD) -> str:
    """What a preset says of itself."""
    return str(_read_toml(name, method).get("about", ""))


def read_preset(name: str, method: str = DEFAULT_METHOD) -> dict[str, Any]:
    """The settings of a shipped preset, or of a TOML file given by its path; nothing for "none".

    Raises BadRequest when there is no such preset or the file is not TOML.
    """
    return {} if name == NONE else {key: value for key, value in _read_toml(name, method).items() if key != "about"}


def _read_toml(name: str, method: str) -> dict[str, Any]:
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise BadRequest(f"--preset {name}", "there is no such file", "name a TOML file or a preset")
        text = path.read_text(encoding="utf-8", errors="replace")
    else:
        names = preset_names(method)
        if name not in names:
            raise BadRequest(
                f"--preset {name}", "there is no such preset", f"choose {' or '.join(names)}, or a .toml file"
            )
        text = FOLDER.joinpath(method, f"{name}.toml").read_text(encoding="utf-8")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadRequest(f"--preset {name}", f"it is not valid TOML ({error})", "correct the file") from error
