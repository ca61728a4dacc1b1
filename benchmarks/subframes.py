"""What it gives to measure the readouts of a frame at subframes of their own, on phantoms that move all the time.

    python -m benchmarks.subframes [--subframes 1,3] [--repeats 3] [-o subframes.md]

One heartbeat of the phantom, in fewer and longer frames. The truth is the phantom at the mean time of each frame.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Report, add_common, heading, warm_up
from benchmarks.quality import NOTE, Candidate, block, measure
from benchmarks.scans import simulate_subject
from dainr.settings.presets import DEFAULT_METHOD, DEFAULT_PRESET
from dainr.simulate import SimulationConfig

FRAMES = ((25, 13), (12, 13), (8, 20), (5, 34))  # frames a heartbeat, spokes a frame


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each number of frames."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subframes", default="1,3", help="numbers separated by commas")
    parser.add_argument("--repeats", type=int, default=3, help="seeds")
    parser.add_argument("--matrix", type=int, default=128, help="of the phantoms")
    add_common(parser)
    asked = parser.parse_args(arguments)
    candidates = [
        Candidate(f"{n} subframe{'s' * (n > 1)} a frame", DEFAULT_METHOD, ("--set", f"subframes={n}"))
        for n in map(int, asked.subframes.split(","))
    ]
    report = Report(asked.output)
    report.add(heading("Subframes", "subframes", arguments, asked.device))
    report.add(NOTE)
    warm_up([DEFAULT_PRESET], asked.device)
    with tempfile.TemporaryDirectory() as folder:
        for frames, spokes in FRAMES:
            config = SimulationConfig(frames=frames, spokes=spokes, matrix=asked.matrix)
            subject = simulate_subject(Path(folder), f"{frames}_frames", config)
            rows = [measure(subject, c, asked.repeats, asked.device, asked.pairs, Path(folder)) for c in candidates]
            report.add(block(subject, rows))


if __name__ == "__main__":
    main()
