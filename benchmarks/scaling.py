"""Seconds per step and peak memory of a preset against pixels, frames and coils, on phantoms.

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

from benchmarks.common import Report, add_common, heading, run_dainr, say, table, warm_up, write_phantom
from dainr.settings import DEFAULT_PRESET
from dainr.simulate import SimulationConfig


@dataclass(frozen=True)
class Sweep:
    """The sizes, the one that the other tables keep, and how many steps are timed."""

    matrix: tuple[int, ...]
    frames: tuple[int, ...]
    coils: tuple[int, ...]
    base: SimulationConfig
    steps: int
    validate_every: int


FULL = Sweep((96, 128, 192, 256), (12, 25, 50), (4, 8, 16), SimulationConfig(matrix=128), 30, 10)
QUICK = Sweep((48, 64, 96), (6, 12), (4, 8), SimulationConfig(matrix=64, frames=12, coils=4), 10, 5)
SIZES = {"matrix": "pixels a side", "frames": "frames", "coils": "coils"}


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
    base = ", ".join(f"{getattr(sweep.base, key)} {words}" for key, words in SIZES.items())
    report.add(heading("Scaling", "scaling", arguments, asked.device))
    report.add(
        f"Preset `{asked.preset}`; where nothing else is said {base}, {sweep.base.spokes} spokes a frame. Memory:"
        " resident memory of the process, or on CUDA what was allocated there."
    )
    warm_up([asked.preset], asked.device)
    known: dict[SimulationConfig, Cost] = {}
    for key, words in SIZES.items():
        rows = []
        for size in getattr(sweep, key):
            config = replace(sweep.base, **{key: size})
            if config not in known:
                say(f"{size} {words}")
                known[config] = measure(config, sweep, asked.preset, asked.device, asked.pairs)
            rows.append(_line(size, known[config]))
        report.add(f"## {words}\n\n" + table((words, "s/step", "s before the first step", "peak MB"), rows))


def measure(config: SimulationConfig, sweep: Sweep, preset: str, device: str, pairs: Sequence[str]) -> Cost:
    """Fit a phantom for a few steps in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        scan, run = write_phantom(Path(folder), "phantom", config), Path(folder) / "run"
        settings = [*pairs, f"fit.iterations={sweep.steps}", f"fit.validate_every={sweep.validate_every}"]
        options = [word for pair in settings for word in ("--set", pair)]
        done = run_dainr("fit", scan, "-o", run, "--quiet", "--preset", preset, "--device", device, *options)
        if done.code:
            return Cost(failed=done.why)
        return read_cost(json.loads((run / "run.json").read_text()))


def read_cost(record: dict) -> Cost:
    """The figures in a run's record."""
    validations = record["slices"][0]["fit"]["validations"]
    first, last = validations[0], validations[-1]
    return Cost(
        (last["seconds"] - first["seconds"]) / (last["step"] - first["step"]),
        record["seconds"]["prepare"],
        record["peak_memory_mb"],
    )


def _line(size: int, cost: Cost) -> list[str]:
    if cost.failed:
        return [str(size), f"failed: {cost.failed}", "", ""]
    return [str(size), f"{cost.seconds_per_step:.3f}", f"{cost.prepare_seconds:.1f}", f"{cost.peak_memory_mb:.0f}"]


if __name__ == "__main__":
    main()
