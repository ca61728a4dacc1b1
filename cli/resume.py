"""What `dainr fit --resume` goes on with: the run's own request and settings, if what is asked now agrees."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dainr.errors import BadRequest, BadScan

from .options import Asked, read_binning

if TYPE_CHECKING:
    from dainr.io import ReadOptions
    from dainr.runs.folder import RunFolder
    from dainr.runs.run import Request

CONFIG = "config.toml"  # of a run's folder
DECIDED = {"device": "auto", "nufft": "auto", "grid": "auto"}  # the run has recorded what "auto" became


def stored_reading(path: Path, asked: Asked) -> "ReadOptions":
    """What the run in a folder was told of its scan file; where there is no run, what is said now.

    Raises BadRequest for what cannot be said.
    The folder itself is looked at later, by `stored_run`: nothing is imported here that the reading would wait for.
    """
    from dainr.io import ReadOptions
    from dainr.runs.stored import read_config_file

    try:
        stored = read_config_file(path / CONFIG)["run"].get("reading", {})
    except BadScan:
        return asked.reading
    return ReadOptions.parsed(stored)


def stored_run(folder: "RunFolder", asked: Asked, sha256: str) -> tuple["Request", Any]:
    """The run's request and config. Raises BadRequest when the scan, whose SHA-256 is given, or an option differs."""
    from dainr.methods import get_method
    from dainr.runs.run import Request
    from dainr.settings.build import build_config

    stored = folder.read_config()
    request = Request(**stored["run"])
    config = build_config(get_method(request.method).Config, stored["config"])
    changed = []
    if request.sha256 != sha256:
        changed.append("the scan file")
    if any(asked.given.get(name) not in (None, getattr(request, name)) for name in ("method", "preset")):
        changed.append("--method or --preset")
    if asked.binning.as_dict() and asked.binning != read_binning(request.binning):
        changed.append("frames, slices or matrix")
    if asked.reading.as_dict() and asked.reading.as_dict() != request.reading:
        changed.append("what is said of the scan file")
    if asked.pairs and not changed:
        changed += _other_settings(request, config, asked.pairs)
    if changed:
        raise BadRequest(
            f"--resume {folder.path}",
            f"the run goes on with its own settings, but {', '.join(changed)} differ",
            "resume without them, or start anew with --force",
        )
    return request, config


def _other_settings(request: "Request", config: Any, pairs: list[str]) -> list[str]:
    """The settings that pairs name and that would be others than those of the run."""
    from dainr.methods import configure
    from dainr.settings.build import by_path, config_dict, differences

    wanted = config_dict(configure(request.method, request.preset, pairs)[1])
    named = by_path(type(config), pairs)
    changed = differences(config_dict(config), wanted)
    return [key for key in changed if key in named and (key not in DECIDED or wanted[key] != DECIDED[key])]
