"""Whether a slice fitted from its neighbour's motion is ready sooner and no worse than one fitted from nothing.

    python -m benchmarks.neighbour CINE.npy [--repeats 2] [-o neighbour.md]

The neighbour of a slice is the slice itself, made smaller and moved, and in one case half a cycle later: slices that
are measured one after another without a trigger do not beat together. Both are simulated from the cine. The neighbour
is fitted as always, after steps at half the resolution, and from the motion and temporal basis of the slice instead.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import affine_transform

from benchmarks.common import Report, add_common, heading, say, table
from dainr.assess.scores import evaluate
from dainr.fields.warped import WarpedCine
from dainr.machine.device import resolve_device
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr, render_series
from dainr.methods.dainr.start import start_fit, start_warped
from dainr.methods.slices import Slice
from dainr.operators.gridding import grid_frames
from dainr.prepare import prepare_slice
from dainr.prepare.frame_data import frame_data
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.settings.presets import DEFAULT_PRESET, read_preset
from dainr.simulate import SimulationConfig
from dainr.simulate.simulate import simulate_cine

TAKEN = ("motion", "basis")  # of the neighbour: control points and both temporal bases


Result = tuple[float, float, float, float]  # PSNR, SSIM, PSNR where it moves, s from the prepared slice to the fitted


@dataclass(frozen=True)
class Neighbour:
    """How a neighbour differs: its size, pixels (y, x) it is moved by, cycles it is late."""

    size: float
    moved: tuple[float, float]
    late: float = 0.0


CASES = {
    "close": Neighbour(0.94, (1.5, -2.0)),
    "far": Neighbour(0.8, (4.0, -5.0)),
    "close, half a cycle late": Neighbour(0.94, (1.5, -2.0), 0.5),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each neighbour and start."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cine", type=Path, help=".npy of magnitudes or complex images: frame, y, x, or slices of them")
    parser.add_argument("--repeats", type=int, default=2, help="seeds")
    add_common(parser)
    asked = parser.parse_args(arguments)
    images = np.load(asked.cine)
    series = np.abs(images.reshape(-1, *images.shape[-3:])[0]).astype(float)
    report = Report(asked.output)
    report.add(heading("Neighbour", "neighbour", arguments, asked.device))
    rows = []
    for name, neighbour in CASES.items():
        say(name)
        scans = [_measured(series, 0), _measured(_next(series, neighbour), 1)]
        runs = [_both(scans, seed, asked.device, asked.pairs) for seed in range(asked.repeats)]
        rows += [[name, start, *_line([run[start] for run in runs])] for start in runs[0]]
    report.add(table(("neighbour", "start from", "PSNR", "SSIM", "dynamic PSNR", "s"), rows))


def _measured(series: np.ndarray, seed: int) -> Scan:
    return frames_as_stored(simulate_cine(series, SimulationConfig(coils=6, snr=30, seed=seed)))


def _next(series: np.ndarray, neighbour: Neighbour) -> np.ndarray:
    """The series of the neighbour."""
    centre, size = np.array(series.shape[1:]) / 2, neighbour.size
    offset = centre - centre / size + np.array(neighbour.moved)
    moved = np.stack([affine_transform(f, np.eye(2) / size, offset=offset).clip(0) for f in series])
    return np.roll(moved, round(neighbour.late * len(series)), 0)


def _both(scans: Sequence[Scan], seed: int, device: str, pairs: Sequence[str]) -> dict[str, Result]:
    """The second scan fitted from either start."""
    settings = [f"device={device}", f"seed={seed}", *pairs]
    config = build_config(DainrConfig, read_preset(DEFAULT_PRESET), settings)
    first = _fit(scans[0], config, None)[1]
    return {
        "half the resolution": _fit(scans[1], config, None)[0],
        "the neighbour": _fit(scans[1], config, first)[0],
    }


def _fit(scan: Scan, config: DainrConfig, neighbour: WarpedCine | None) -> tuple[Result, WarpedCine]:
    config, _ = Dainr().resolve(scan, config)
    device = resolve_device(config.device)
    prepared = prepare_slice(replace(scan, reference=None), 0, config.prepare, config.seed)
    data, heldout = (
        frame_data(prepared, readouts, config.nufft, device) for readouts in (~prepared.held_out, prepared.held_out)
    )
    started = time.perf_counter()
    fit = start_fit(config, prepared, data, heldout, grid_frames(data))
    model = fit.model
    assert isinstance(model, WarpedCine)
    if neighbour is not None:
        config = replace(config, coarse_steps=0)
        model.load_state_dict({k: v for k, v in neighbour.state_dict().items() if k.startswith(TAKEN)}, strict=False)
    start_warped(model, config, Slice(prepared, data))
    fit.run()
    seconds = time.perf_counter() - started
    model.load_state_dict(fit.best)
    assert scan.reference is not None
    scores = evaluate(prepared.scale * render_series(model)[None].numpy(), scan.reference)
    return (scores.whole.psnr, scores.whole.ssim, scores.dynamic.psnr, seconds), model


def _line(runs: Sequence[Result]) -> list[str]:
    columns = zip(*runs, strict=True)
    return [f"{np.mean(c):.{n}f} ± {np.std(c):.{n}f}" for c, n in zip(columns, (2, 4, 2, 1), strict=True)]


if __name__ == "__main__":
    main()
