"""Seconds per step and peak memory of a preset against pixels, frames, coils and slices, on phantoms.

    python -m benchmarks.scaling [--device cuda] [--quick] [-o scaling.md]

One size changes at a time, the others stay at the base. Each size is a `dainr fit` in a process of its own, so that its
peak memory is its own. A step is the mean between the first and the last validation: the first steps, which compile and
plan, are left out, and the validations a fit makes are in it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Report, add_common, heading, run_dainr, say, table, warm_up
from dainr.io.scans import native
from dainr.scan import OF_A_SLICE, Scan
from dainr.settings.presets import DEFAULT_PRESET
from dainr.simulate import SimulationConfig, simulate_phantom


@dataclass(frozen=True)
class Sweep:
    """The sizes, the one that the other tables keep, and how many steps are timed."""

    matrix: tuple[int, ...]
    frames: tuple[int, ...]
    coils: tuple[int, ...]
    slices: tuple[int, ...]
    base: SimulationConfig
    steps: int
    validate_every: int


FULL = Sweep((96, 128, 192, 256), (12, 25, 50), (4, 8, 16), (1, 4, 10), SimulationConfig(matrix=128), 30, 10)
QUICK = Sweep((48, 64, 96), (6, 12), (4, 8), (1, 3), SimulationConfig(matrix=64, frames=12, coils=4), 10, 5)
SIZES = {"matrix": "pixels a side", "frames": "frames", "coils": "coils"}  # of a slice


@dataclass(frozen=True)
class Cost:
    """What a fit of one size took; `failed` says why it did not end."""

    seconds_per_step: float = 0.0
    prepare_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    failed: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each size that changes."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller sizes")
    parser.add_argument("--preset", default=DEFAULT_PRESET)
    add_common(parser)
    asked = parser.parse_args(arguments)
    sweep = QUICK if asked.quick else FULL
    report = Report(asked.output)
    base = ", ".join(f"{getattr(sweep.base, key)} {words}" for key, words in SIZES.items()) + ", one slice"
    report.add(heading("Scaling", "scaling", arguments, asked.device))
    report.add(
        f"Preset `{asked.preset}`; where nothing else is said {base}, {sweep.base.spokes} spokes a frame. Memory:"
        " resident memory of the process, or on CUDA what was allocated there."
    )
    warm_up([asked.preset], asked.device)
    known: dict[tuple[SimulationConfig, int], Cost] = {}
    for key, words in {**SIZES, "slices": "slices"}.items():
        rows = []
        for size in getattr(sweep, key):
            case = (sweep.base, size) if key == "slices" else (replace(sweep.base, **{key: size}), 1)
            if case not in known:
                say(f"{size} {words}")
                known[case] = measure(case[0], case[1], sweep, asked.preset, asked.device, asked.pairs)
            rows.append(_line(size, known[case]))
        report.add(f"## {words}\n\n" + table((words, "s/step", "s before a slice's first step", "peak MB"), rows))


def measure(
    config: SimulationConfig, slices: int, sweep: Sweep, preset: str, device: str, pairs: Sequence[str]
) -> Cost:
    """Fit a phantom, or a stack of the same one, for a few steps a slice in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        scan, run = Path(folder) / "phantom.h5", Path(folder) / "run"
        native.write(stacked(simulate_phantom(config), slices), scan)
        settings = [*pairs, f"fit.iterations={sweep.steps}", f"fit.validate_every={sweep.validate_every}"]
        options = [word for pair in settings for word in ("--set", pair)]
        done = run_dainr("fit", scan, "-o", run, "--quiet", "--preset", preset, "--device", device, *options)
        if done.code:
            return Cost(failed=done.why)
        return read_cost(json.loads((run / "run.json").read_text()))


def stacked(scan: Scan, slices: int) -> Scan:
    """A stack of copies of a scan's one slice."""
    arrays = {name: getattr(scan, name) for name in OF_A_SLICE}
    parts: dict[str, Any] = {n: None if one is None else np.repeat(one, slices, axis=0) for n, one in arrays.items()}
    return replace(scan, **parts)


def read_cost(record: dict) -> Cost:
    """The figures in a run's record."""
    validations = record["slices"][0]["fit"]["validations"]
    first, last = validations[0], validations[-1]
    return Cost(
        (last["seconds"] - first["seconds"]) / (last["step"] - first["step"]),
        record["seconds"]["prepare"] / len(record["slices"]),
        record["peak_memory_mb"],
    )


def _line(size: int, cost: Cost) -> list[str]:
    if cost.failed:
        return [str(size), f"failed: {cost.failed}", "", ""]
    return [str(size), f"{cost.seconds_per_step:.3f}", f"{cost.prepare_seconds:.1f}", f"{cost.peak_memory_mb:.0f}"]


if __name__ == "__main__":
    main()
