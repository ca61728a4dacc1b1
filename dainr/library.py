"""The program as a library: `dainr.load` and `dainr.reconstruct`."""

from collections.abc import Mapping, Sequence
from typing import Any

from dainr.errors import BadRequest
from dainr.fit.state import Observer
from dainr.io import load
from dainr.methods import get_method
from dainr.methods.recon import Recon
from dainr.prepare.frames import bin_phases, bin_spokes, frames_as_stored
from dainr.scan import Scan
from dainr.settings.build import build_config, parse_seconds
from dainr.settings.presets import DEFAULT_METHOD, choose_preset, preset_settings

__all__ = ["load", "reconstruct"]


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
    gives others. Raises what the errors of `dainr.errors` say: BadScan, BadRequest, MissingBackend, Diverged.
    """
    if spokes_per_frame is not None and frames_per_cycle is not None:
        raise BadRequest("spokes_per_frame and frames_per_cycle", "both bin the readouts", "give one of them")
    pairs = [f"device={device}", f"seed={seed}"]
    if iterations is not None:
        pairs.append(f"iterations={iterations}")
    if budget is not None:
        seconds = parse_seconds(budget, "budget") if isinstance(budget, str) else budget
        pairs += [f"budget_s={seconds}"] + (["iterations=0"] if iterations is None else [])
    pairs += [f"{name}={value}" for name, value in (settings or {}).items()]
    kind = get_method(method)
    config = build_config(kind.Config, preset_settings(method, choose_preset(method, preset)), pairs)
    binned = _binned(scan, spokes_per_frame, every, frames_per_cycle, respiratory_bins)
    config, _ = kind.resolve(binned, config)
    return kind(binned, config, observers)


def _binned(
    scan: Scan, spokes_per_frame: int | None, every: int | None, frames_per_cycle: int | None, respiratory_bins: int
) -> Scan:
    if every is not None and spokes_per_frame is None:
        raise BadRequest("every", "only frames of so many readouts slide over them", "add spokes_per_frame")
    if respiratory_bins != 1 and frames_per_cycle is None:
        raise BadRequest(
            "respiratory_bins", "only frames of the cardiac cycle have room for it", "add frames_per_cycle"
        )
    if spokes_per_frame is not None:
        return bin_spokes(scan, spokes_per_frame, every)
    if frames_per_cycle is not None:
        return bin_phases(scan, frames_per_cycle, respiratory_bins)
    return frames_as_stored(scan)
