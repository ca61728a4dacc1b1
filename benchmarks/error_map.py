"""How far the error map can be trusted: on phantoms, the share of pixels whose true error is below the bound it gives.

    python -m benchmarks.error_map [--seed 2] [--scans 24] [--data folder] [-o error_map.md]

Coverage is that of the magnitudes within the object (pixels brighter than 5 % of the peak) and should be 80 %; rank
correlation (Spearman) is that of the map with the true error, blurred as the map is; cost is the time that the map took
over that of the run without it. The truth is full sampling without noise, at one scale for the series. The map was
calibrated on --seed 1 --scans 32 and --seed 11 --scans 16 --matrix 128 --frames 20. With --data also every scan of a
folder that has a reference.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex, Float
from scipy.ndimage import gaussian_filter
from scipy.stats import spearmanr

import dainr
from benchmarks.common import Report, add_common, heading, table
from benchmarks.fully_sampled import phantom_with_truth
from benchmarks.scans import Subject, find_subjects
from benchmarks.trust import Case, add_drawn, describe, draw_protocol
from dainr.io import load
from dainr.io.images.series import read_series
from dainr.methods.dainr.error_map import BLUR
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.settings.presets import DEFAULT_METHOD
from dainr.simulate import PHANTOMS, SimulationConfig

SUBJECTS = ("beating", "bolus", "breath", "decay")
FEWEST_SPOKES = 5
OBJECT = 0.05  # of the peak
WITHIN = ((0.75, 0.85), (0.7, 0.9))
COLUMNS = ("scan", "said / true", "coverage", "correlation", "cost")

Images = Complex[np.ndarray, "slice frame y x"]
Maps = Float[np.ndarray, "slice frame y x"]


@dataclass(frozen=True)
class Row:
    """One scan: the image error said over the true one, and what became of the map."""

    name: str
    ratio: float
    coverage: float
    correlation: float
    cost: float

    def cells(self) -> tuple[str, ...]:
        """As they stand in the table."""
        return (
            self.name,
            f"{self.ratio:.2f}",
            f"{100 * self.coverage:.0f} %",
            f"{self.correlation:.2f}",
            f"{100 * self.cost:.0f} %",
        )


def coverage(images: Images, error_map: Maps, truth: Images) -> float:
    """Share of the pixels of the object whose magnitude is off by less than the map says."""
    error, inside = _true_error(images, truth)
    return float((error[inside] < error_map[inside]).mean())


def correlation(images: Images, error_map: Maps, truth: Images) -> float:
    """Rank correlation of the map with the true error, both blurred, within the object."""
    error, inside = _true_error(images, truth)
    blurred = gaussian_filter(error**2, (0, *BLUR))
    return float(spearmanr(error_map[inside], blurred[inside]).statistic)


def _true_error(images: Images, truth: Images) -> tuple[Maps, Bool[np.ndarray, "slice frame y x"]]:
    """What the magnitudes are off by, and where the object is."""
    ours, theirs = np.abs(images).astype(np.float64), np.abs(truth).astype(np.float64)
    theirs *= (ours * theirs).sum() / (theirs**2).sum()
    return np.abs(ours - theirs), theirs > OBJECT * theirs.max()


def drawn(seed: int, count: int, matrix: int, most_frames: int) -> Iterator[SimulationConfig]:
    """Phantoms by protocols that follow from the seed, in turn what beats, fills, breathes and decays."""
    for index in range(count):
        protocol = draw_protocol(np.random.default_rng([seed, index]))
        phantom = SUBJECTS[index % len(SUBJECTS)]
        yield replace(
            protocol,
            phantom=phantom,
            spokes=max(protocol.spokes, FEWEST_SPOKES),
            matrix=matrix,
            frames=min(PHANTOMS[phantom].frames, most_frames),
            seed=1000 * seed + index,
        )


def cases(seed: int, count: int, matrix: int, most_frames: int, data: Path | None, work: Path) -> Iterator[Case]:
    """The phantoms, and the scans of a folder that have a reference."""
    for config in drawn(seed, count, matrix, most_frames):
        yield Case(f"{config.phantom}, {describe(config)}", partial(phantom_with_truth, config))
    for subject in find_subjects(data, {}, work) if data else ():
        yield Case(f"folder, {subject.name}", partial(_with_reference, subject))


def _with_reference(subject: Subject) -> Scan:
    return replace(load(subject.scan), reference=read_series(subject.reference))


def judged(case: Case, preset: str, device: str, pairs: Sequence[str]) -> Row:
    """Fit a case, and set its map beside the truth."""
    scan = frames_as_stored(case.make())
    assert scan.reference is not None
    settings = dict(pair.split("=", 1) for pair in pairs) | {"error_map": "yes"}
    bare = replace(scan, reference=None)
    recon = dainr.reconstruct(bare, DEFAULT_METHOD, preset=preset, device=device, settings=settings)
    assert recon.error_map is not None
    images, seconds = recon.cine.data, recon.record["seconds"]
    error = np.linalg.norm(_true_error(images, scan.reference)[0]) / np.linalg.norm(images)
    return Row(
        name=case.name,
        ratio=float(recon.record["slices"][0]["fit"]["image_error"] / error),
        coverage=coverage(images, recon.error_map, scan.reference),
        correlation=correlation(images, recon.error_map, scan.reference),
        cost=seconds["error_map"] / (seconds["total"] - seconds["error_map"]),
    )


def sums(rows: Sequence[Row]) -> str:
    """What all rows come to, and those of each phantom."""
    groups = {"all": list(rows)}
    for row in rows:
        groups.setdefault(row.name.split(",")[0], []).append(row)
    lines = []
    for name, some in groups.items():
        shares, costs = np.array([r.coverage for r in some]), [r.cost for r in some]
        within = [
            f"{np.mean((shares >= low) & (shares <= high)):.0%} of them from {low:.0%} to {high:.0%}"
            for low, high in WITHIN
        ]
        lines.append(
            f"- {name}, {len(some)} scans: coverage {shares.mean():.1%} (standard deviation {shares.std():.1%}),"
            f" {', '.join(within)}; correlation {np.mean([r.correlation for r in some]):.2f};"
            f" cost {np.mean(costs):.0%}, at most {max(costs):.0%}"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each scan as soon as it is there, then what they come to."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_drawn(parser, seed=2, scans=24)
    add_common(parser)
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("Error map", "error_map", arguments, asked.device))
    report.add(table(COLUMNS, []))
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for case in cases(asked.seed, asked.scans, asked.matrix, asked.frames, asked.data, Path(work)):
            rows.append(judged(case, asked.preset, asked.device, asked.pairs))
            report.extend(rows[-1].cells())
    report.add(sums(rows))


if __name__ == "__main__":
    main()
