"""What a sliding window gives: frames that share readouts beside frames of their own few, on a phantom that moves on.

    python -m benchmarks.window [--repeats 2] [-o window.md]

Few spokes a frame, as in real time; a window then spans several such frames and slides by one. The truth is the phantom
at the middle of a window. Frames at the ends, where the widest window has no middle, are not scored.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Report, add_common, heading, run_dainr, say, table, warm_up, write_phantom
from dainr.assess.scores import evaluate
from dainr.io import load
from dainr.settings.presets import DEFAULT_METHOD, DEFAULT_PRESET
from dainr.simulate import SimulationConfig

FRAMES, SPOKES = 50, 5  # a heartbeat in so many frames, of so few spokes
WINDOWS = (1, 3, 5)  # frames
METHODS = (DEFAULT_METHOD, "grasp", "gridding")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table: methods down, windows across."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2, help="seeds, of methods that have any")
    parser.add_argument("--matrix", type=int, default=128, help="of the phantom")
    add_common(parser)
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("Sliding window", "window", arguments, asked.device))
    report.add(f"{FRAMES} frames of {SPOKES} spokes; PSNR dB / SSIM / PSNR dB where it moves.")
    warm_up([DEFAULT_PRESET], asked.device)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        config = SimulationConfig(frames=FRAMES, spokes=SPOKES, matrix=asked.matrix)
        scan = write_phantom(Path(folder), "phantom", config)
        for method in METHODS:
            seeds = range(asked.repeats if method == DEFAULT_METHOD else 1)
            settings = ["--device", asked.device, *(word for pair in asked.pairs for word in ("--set", pair))]
            options = ["--method", method, *(settings if method == DEFAULT_METHOD else settings[:2])]
            rows.append([f"`{method}`", *(measure(scan, window, options, seeds) for window in WINDOWS)])
    report.add(table(("", *(f"{SPOKES * window} spokes every {SPOKES}" for window in WINDOWS)), rows))


def measure(scan: Path, window: int, options: Sequence[str], seeds: Sequence[int]) -> str:
    """Scores at one window, means over the seeds with their spread; or why there are none."""
    scores, run, images = [], scan.parent / "run", scan.parent / "images.npy"
    reference = load(scan).reference
    assert reference is not None
    for seed in seeds:
        say(f"{options[1]}, window {window}, seed {seed}")
        frames = ["--spokes-per-frame", str(SPOKES * window), "--every", str(SPOKES)]
        done = run_dainr("fit", scan, "-o", run, "--force", "--quiet", "--seed", str(seed), *frames, *options)
        if done.code:
            return f"failed: {done.why}"
        run_dainr("export", run, images, "--force")
        edge = max(WINDOWS) // 2
        inner = slice(edge - window // 2, len(reference[0]) - edge - window // 2)
        found = evaluate(np.load(images)[:, inner], reference[:, edge : len(reference[0]) - edge])
        scores.append((found.whole.psnr, found.whole.ssim, found.dynamic.psnr))
    spread = np.std(scores, 0, ddof=1) if len(scores) > 1 else None
    return " / ".join(
        f"{mean:.{digits}f}" + (f" ± {spread[i]:.{digits}f}" if spread is not None else "")
        for i, (mean, digits) in enumerate(zip(np.mean(scores, 0), (2, 3, 2), strict=True))
    )


if __name__ == "__main__":
    main()
