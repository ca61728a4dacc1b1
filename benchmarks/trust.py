"""How far what a fit says of its own error can be trusted: the error it expects of its images beside the true one.

    python -m benchmarks.trust [--seed 3] [--scans 48] [--data folder] [-o trust.md]

Phantoms measured by protocols drawn at random from the seed: spokes or lines, many or few of them, coils and noise,
what beats, breathes, fills or fades, cut off by the field of view or not, with a noise measurement or without; the
disturbed scans of benchmarks.disturbed; with --data also every scan of a folder that has a reference, and every
reference there measured anew. Each row is written as soon as it is there. What is said was calibrated on --seed 6 to 8.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from scipy.stats import spearmanr

import dainr
from benchmarks import disturbed
from benchmarks.common import Report, add_common, heading, say, table
from benchmarks.fully_sampled import phantom_with_truth
from benchmarks.scans import find_subjects
from dainr.assess.scores import evaluate
from dainr.assess.verdict import error_level
from dainr.errors import DainrError
from dainr.fields.bandlimited import resample
from dainr.io import load
from dainr.io.images.series import read_series
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.settings.presets import DEFAULT_METHOD
from dainr.simulate import PHANTOMS, SimulationConfig, simulate_cine

SPOKES, ACCELERATION, SNR = (3.0, 34.0), (2.0, 10.0), (10.0, 100.0)  # from, to; drawn evenly in the logarithm
COILS = (1, 2, 4, 8, 16, 32)
PATTERNS = ("radial", "radial", "vista", "uniform")  # as often as they are named
SUBJECTS = ("beating", "beating", "beating", "bolus", "decay", "breath", "extra-beat")  # as often as they are named
CROPPED, UNMEASURED_NOISE = 0.25, 0.3  # shares of the scans
REMEASURED = 3  # times each reference
WITHIN = (0.7, 1.5)  # said over true
BAD, FINE = 0.20, 0.08  # true errors that must be said to be poor, and must not
COLUMNS = ("scan", "said", "true", "said / true", "in range", "verdict")


@dataclass(frozen=True)
class Case:
    """A scan with its reference, made when it is its turn; `silent`: a frame that is not scored."""

    name: str
    make: Callable[[], Scan]
    silent: int | None = None


@dataclass(frozen=True)
class Row:
    """What a fit said of its error and the truth, relative to the images; `within`: the truth in the range said."""

    name: str
    said: float
    true: float
    within: bool
    level: str

    def cells(self) -> tuple[str, ...]:
        """As they stand in the table."""
        within = "yes" if self.within else "no"
        return self.name, f"{self.said:.3f}", f"{self.true:.3f}", f"{self.said / self.true:.2f}", within, self.level


def drawn(seed: int, count: int, matrix: int, most_frames: int) -> Iterator[Case]:
    """Phantoms by protocols that follow from the seed."""
    random = np.random.default_rng(seed)
    for index in range(count):
        phantom = str(random.choice(SUBJECTS))
        protocol = replace(draw_protocol(random), phantom=phantom, crop=bool(random.random() < CROPPED))
        frames = min(PHANTOMS[phantom].frames, most_frames)
        config = replace(protocol, matrix=matrix, frames=frames, seed=1000 * seed + index)
        told = bool(random.random() >= UNMEASURED_NOISE)
        yield Case(f"{index}: {phantom}, {describe(config, told)}", partial(measured, config, told))


def draw_protocol(random: np.random.Generator) -> SimulationConfig:
    """A sampling, coils and noise."""
    pattern = str(random.choice(PATTERNS))
    spokes, acceleration, snr = (float(np.exp(random.uniform(*np.log(r)))) for r in (SPOKES, ACCELERATION, SNR))
    return SimulationConfig(
        pattern=pattern,  # type: ignore[arg-type]
        spokes=round(spokes),
        acceleration=acceleration,
        coils=int(random.choice(COILS)),
        snr=snr,
    )


def measured(config: SimulationConfig, told: bool) -> Scan:
    """A phantom's scan, with its noise measurement if that is told."""
    scan = phantom_with_truth(config)
    return scan if told else replace(scan, noise=None)


def describe(config: SimulationConfig, told: bool = True) -> str:
    """A protocol in a few words."""
    radial = config.pattern == "radial"
    sampling = f"{config.spokes} spokes" if radial else f"{config.pattern} {config.acceleration:.1f}"
    more = f"{', crop' if config.crop else ''}{'' if told else ', noise not told'}"
    return f"{sampling}, {config.coils} coil{'s' * (config.coils > 1)}, SNR {config.snr:.0f}{more}"


def of_disturbed(matrix: int) -> Iterator[Case]:
    """The scans of benchmarks.disturbed."""
    with patch.object(disturbed, "simulate_phantom", phantom_with_truth):
        cases = disturbed.cases(matrix)
    for case in cases:
        yield Case(case.name, partial(getattr, case, "scan"), case.silent)


def of_folder(folder: Path, work: Path, seed: int, matrix: int) -> Iterator[Case]:
    """Its scans that have a reference, and every reference measured anew, of no more pixels than `matrix` a side."""
    random, seen = np.random.default_rng([seed, 1]), set[Path]()
    for subject in find_subjects(folder, {}, work):
        yield Case(subject.name, partial(_with_reference, subject.scan, subject.reference))
        if subject.reference in seen or "reference.npy" not in subject.reference_from:
            continue
        seen.add(subject.reference)
        for _ in range(REMEASURED):
            protocol = replace(draw_protocol(random), seed=int(random.integers(1 << 30)))
            name = f"{subject.name} anew: {describe(protocol)}"
            yield Case(name, partial(measured_anew, subject.reference, protocol, matrix))


def _with_reference(scan: Path, reference: Path) -> Scan:
    return replace(load(scan), reference=read_series(reference))


def measured_anew(reference: Path, config: SimulationConfig, matrix: int) -> Scan:
    """The first slice of a series of images, measured by another protocol."""
    series = read_series(reference)[0]
    ny, nx = (min(n, matrix) - min(n, matrix) % 2 for n in series.shape[1:])
    fewer = resample(torch.from_numpy(np.abs(series)).to(torch.complex64), (ny, nx)).abs().numpy()
    return simulate_cine(fewer.astype(np.float64), config)


def judged(case: Case, preset: str, device: str, pairs: Sequence[str]) -> Row:
    """Fit a case, and set what the fit says beside the truth."""
    scan = frames_as_stored(case.make())
    assert scan.reference is not None
    settings = dict(pair.split("=", 1) for pair in pairs)
    bare = replace(scan, reference=None)
    recon = dainr.reconstruct(bare, DEFAULT_METHOD, preset=preset, device=device, settings=settings)
    measured = np.arange(scan.n_frames) != case.silent
    truth = evaluate(recon.cine.data[:, measured], scan.reference[:, measured]).whole.nrmse
    fits = [s["fit"] for s in recon.record["slices"]]
    said = float(np.mean([fit["image_error"] for fit in fits]))
    low, high = (float(np.mean([fit["image_error_range"][i] for fit in fits])) for i in (0, 1))
    level = next(
        level for level in ("poor", "caution", "good") if level in [error_level(f["image_error"]) for f in fits]
    )
    return Row(case.name, said, truth, low <= truth <= high, level)


def sums(rows: Sequence[Row]) -> str:
    """What all rows come to."""
    said, true = np.array([r.said for r in rows]), np.array([r.true for r in rows])
    ratio, poor = said / true, np.array([r.level == "poor" for r in rows])
    rank = float(spearmanr(said, true).statistic) if len(rows) > 2 else float("nan")
    within, ranges = np.mean((ratio > WITHIN[0]) & (ratio < WITHIN[1])), np.mean([r.within for r in rows])
    bad, fine = true > BAD, true < FINE
    return "\n".join(
        [
            f"- {len(rows)} scans; rank correlation of said and true (Spearman) {rank:.3f}",
            f"- said / true from {WITHIN[0]} to {WITHIN[1]}: {within:.0%}; median {np.median(ratio):.2f}",
            f"- truth within the range said: {ranges:.0%}",
            f"- true error above {BAD:.0%}: {bad.sum()}, of these not said to be poor: {(~poor & bad).sum()}",
            f"- true error below {FINE:.0%}: {fine.sum()}, of these said to be poor: {(poor & fine).sum()}",
        ]
    )


def add_drawn(parser: argparse.ArgumentParser, seed: int, scans: int) -> None:
    """Options of the scans that are drawn, and of a folder's."""
    parser.add_argument("--seed", type=int, default=seed, help="of the protocols")
    parser.add_argument("--scans", type=int, default=scans, help="phantoms by protocols drawn at random")
    parser.add_argument("--data", type=Path, help="folder of scans with references")
    parser.add_argument("--preset", default="default")
    parser.add_argument("--matrix", type=int, default=72, help="pixels a side of the phantoms")
    parser.add_argument("--frames", type=int, default=16, help="of a phantom, at most")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each scan as soon as it is there, then what they come to."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_drawn(parser, seed=3, scans=48)
    parser.add_argument("--no-disturbed", action="store_true", help="leave out the scans of benchmarks.disturbed")
    add_common(parser)
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("Said and true error", "trust", arguments, asked.device))
    report.add(table(COLUMNS, []))
    rows = []
    with tempfile.TemporaryDirectory() as work:
        of_data = of_folder(asked.data, Path(work), asked.seed, asked.matrix) if asked.data else ()
        others = () if asked.no_disturbed else of_disturbed(asked.matrix)
        for case in chain(drawn(asked.seed, asked.scans, asked.matrix, asked.frames), others, of_data):
            try:
                row = judged(case, asked.preset, asked.device, asked.pairs)
            except DainrError as error:
                say(f"{case.name}: left out, {error}")
                continue
            rows.append(row)
            report.extend(row.cells())
    report.add(sums(rows))


if __name__ == "__main__":
    main()
