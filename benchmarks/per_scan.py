"""Networks that learn from one scan alone, beside the methods that need not learn: a part of `benchmarks.networks`."""

import argparse
import time
from dataclasses import dataclass

import numpy as np

from benchmarks.common import say, table
from dainr.assess.scores import evaluate
from dainr.methods import configure, get_method
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom


@dataclass(frozen=True)
class Candidate:
    """A method and its settings beside the defaults; a network takes the steps that were asked for."""

    method: str
    pairs: tuple[str, ...] = ()
    learns: bool = False

    @property
    def label(self) -> str:
        """How a table names it."""
        return " ".join([f"`{self.method}`", *self.pairs])


CANDIDATES = (
    Candidate("gridding"),
    Candidate("cg-sense"),
    Candidate("grasp", ("cyclic=true",)),
    Candidate("dainr"),
    Candidate("crnn", ("loss=ssdu",), learns=True),
    Candidate("crnn", ("loss=ddei",), learns=True),
    Candidate("crunet", ("loss=ssdu",), learns=True),
)


def scan_table(asked: argparse.Namespace) -> str:
    """Every candidate on a phantom measured by spokes and one by lines; seconds of one core."""
    scans = {
        "13 spokes": SimulationConfig(spokes=13, coils=4, matrix=asked.matrix, frames=asked.frames),
        "lines, 4-fold": SimulationConfig(
            pattern="vista", acceleration=4, coils=4, matrix=asked.matrix, frames=asked.frames
        ),
    }
    scores = "PSNR / dynamic PSNR dB", "core s"
    rows = [[candidate.label] for candidate in CANDIDATES]
    for name, config in scans.items():
        scan = simulate_phantom(config)
        for row, candidate in zip(rows, CANDIDATES, strict=True):
            row += tried(scan, candidate, asked)
            say(f"{name}: {row}")
    columns = ["method", *(f"{name}: {score}" for name in scans for score in scores)]
    return f"One scan alone:\n\n{table(columns, rows)}"


def tried(scan: Scan, candidate: Candidate, asked: argparse.Namespace) -> list[str]:
    """Scores and seconds of a candidate; those that draw random numbers, over the seeds."""
    random = candidate.learns or candidate.method == "dainr"
    assert scan.reference is not None
    found, began = [], time.process_time()
    n = asked.seeds if random else 1
    for seed in range(n):
        steps = (f"iterations={asked.steps}",) if candidate.learns else ()
        given = ["device=cpu", f"seed={seed}", *candidate.pairs, *steps]
        method, (_, config) = get_method(candidate.method), configure(candidate.method, None, given)
        config, _ = method.resolve(scan, config)
        result = evaluate(method(scan, config).cine.data, scan.reference)
        found.append((result.whole.psnr, result.dynamic.psnr))
    seconds = (time.process_time() - began) / n
    mean, deviation = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) if n > 1 else np.zeros(2)
    words = [f"{m:.2f} ± {d:.2f}" if n > 1 else f"{m:.2f}" for m, d in zip(mean, deviation, strict=True)]
    return [" / ".join(words), f"{seconds:.0f}"]
