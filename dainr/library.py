"""The program as a library: `dainr.load` and `dainr.reconstruct`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

from dainr.errors import DainrError
from dainr.fit.state import Observer
from dainr.io import ReadOptions
from dainr.io import load as load_scan
from dainr.io.scans.options import NAMES
from dainr.methods import configure, get_method
from dainr.methods.recon import Recon
from dainr.prepare.binning import Binning
from dainr.scan import Scan
from dainr.settings.build import parse_seconds, step_limits
from dainr.settings.presets import DEFAULT_METHOD

__all__ = ["load", "reconstruct"]


def load(path: str | Path, **options: Any) -> Scan:
    """Read the scan in a file of any known format.

    `options` say what the file does not: `pixel_mm=1.5`, `frame_ms=40` and the others of `dainr info --help` under
    "Reading the file". Raises BadScan when the file is missing, damaged, of no known format, or holds no valid scan,
    BadRequest for options that do not fit it.
    """
    with _arguments_in_errors():
        return load_scan(path, ReadOptions.parsed(options))


def reconstruct(
    scan: Scan,
    method: str = DEFAULT_METHOD,
    preset: str | None = None,
    budget: str | float | None = None,
    iterations: int | None = None,
    spokes_per_frame: int | None = None,
    every: int | None = None,
    frames_per_cycle: int | None = None,
    respiratory_bins: int = 1,
    device: str = "auto",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
) -> Recon:
    """Reconstruct a scan as `dainr fit` does; nothing is written.

    `budget` is the time for the steps of each slice, "30s" or seconds; `settings` are those of `--set`, by name.
    `observers` see every step and may end the fit by returning False. `Recon.cine` holds the images, `Recon.render`
    gives others. Raises what the errors of `dainr.errors` say: BadScan, BadRequest, MissingBackend, OutOfMemory,
    Diverged.
    """
    with _arguments_in_errors():
        seconds = parse_seconds(budget, "--budget") if isinstance(budget, str) else budget
        pairs = [f"device={device}", f"seed={seed}", *step_limits(iterations, seconds)]
        pairs += [f"{name}={value}" for name, value in (settings or {}).items()]
        _, config = configure(method, preset, pairs)
        bins = None if respiratory_bins == 1 else respiratory_bins
        binned = Binning(spokes_per_frame, every, frames_per_cycle, bins).applied(scan)
        config, _ = get_method(method).resolve(binned, config)
        return get_method(method)(binned, config, observers)


@contextmanager
def _arguments_in_errors() -> Iterator[None]:
    """Errors name options as the command line has them; a program has given arguments: `every`, not `--every`."""
    names = {"set": "setting"} | {name.replace("_", "-"): name for name in (*signature(reconstruct).parameters, *NAMES)}
    try:
        yield
    except DainrError as error:
        parts = (error.what, error.why, error.fix)
        told = [re.sub(r"--([a-z-]+)", lambda m: names.get(m[1], m[0]), part) for part in parts]
        raise type(error)(*told).with_traceback(error.__traceback__) from None
