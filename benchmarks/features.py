"""What features of frames buy: none, of random weights, and of every encoder whose weights are installed.

    python -m benchmarks.features [--data FOLDER] [--presets default,paper] [--scans sax13,sax5] [-o features.md]

`python -m dainr.pretrained.train --network rdn --work FOLDER` and `dainr weights import` bring those of an encoder that
does not ship. Each is a `dainr fit` in a process of its own with seeds 0, 1, ..., scored by `dainr evaluate`; scores
are mean and standard deviation over the seeds. Without --data the scans are phantoms.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Report, add_common, heading, warm_up
from benchmarks.quality import NOTE, Candidate, block, measure
from benchmarks.scans import find_subjects, simulate_subjects
from dainr.networks.weights import RANDOM, encoders_installed
from dainr.settings.presets import DEFAULT_METHOD


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each scan."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    asked = _parser().parse_args(arguments)
    presets = asked.presets.split(",")
    report = Report(asked.output)
    report.add(heading("Features", "features", arguments, asked.device))
    report.add(NOTE)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subjects = simulate_subjects(work) if asked.data is None else find_subjects(asked.data, {}, work)
        subjects = [s for s in subjects if asked.scans is None or s.name in asked.scans.split(",")]
        if not subjects:
            raise SystemExit("there is no such scan with frames and a reference")
        warm_up(presets, asked.device)
        for subject in subjects:
            found = [c for preset in presets for c in candidates(preset)]
            rows = [measure(subject, c, asked.repeats, asked.device, asked.pairs, work) for c in found]
            report.add(block(subject, rows))


def candidates(preset: str) -> list[Candidate]:
    """A preset without features, with random ones, and with each of the weights there are that it can use."""
    found = [Candidate(f"`{preset}`, no features", DEFAULT_METHOD, ("--preset", preset, "--set", "encoder=none"))]
    for weights, encoder in {RANDOM: "mdsr", **encoders_installed()}.items():
        options = ("--preset", preset, "--set", f"encoder={encoder}", "--set", f"encoder_weights={weights}")
        found.append(Candidate(f"`{preset}`, {encoder}, weights `{weights}`", DEFAULT_METHOD, options))
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of scans with references; without it, phantoms")
    parser.add_argument("--presets", default="default,paper", help="names separated by commas")
    parser.add_argument("--scans", help="names separated by commas; all")
    parser.add_argument("--repeats", type=int, default=3, help="seeds")
    add_common(parser)
    return parser


if __name__ == "__main__":
    main()
