"""Frame by frame, how far a fit is off where the scan changes most, in units of the noise.

    python -m benchmarks.frames scan.h5 reference.npy [--set KEY=VALUE] [-o frames.md]

The noise is that of a pixel of the fully sampled image. With it come the residual of all readouts that were fitted and
what held-out readouts leave, over their noise. A reference that is itself measured is off by one unit in every pixel.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import dainr
from benchmarks.common import Report, add_common, heading, table
from dainr.assess.scores import dynamic_region
from dainr.io import load
from dainr.io.images.series import read_series
from dainr.prepare.frames import frames_as_stored


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each frame."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scan", type=Path)
    parser.add_argument("reference", type=Path)
    add_common(parser)
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("Errors of frames", "frames", arguments, asked.device))
    scan = replace(frames_as_stored(load(asked.scan)), reference=None)
    settings = dict(pair.split("=", 1) for pair in asked.pairs)
    recon = dainr.reconstruct(scan, device=asked.device, settings=settings)
    fit = recon.record["slices"][0]["fit"]
    errors = in_noise(np.abs(recon.cine.data[0]), np.abs(read_series(asked.reference)[0]))
    report.add(
        f"Residual {fit['in_sample_error'] / fit['noise_error']:.3f} of the noise, of held-out readouts"
        f" {fit['heldout_error'] / fit['heldout_noise_error']:.3f}; largest error of a frame {errors.max():.2f}."
    )
    report.add(table(("frame", "error over noise"), [(str(i), f"{error:.2f}") for i, error in enumerate(errors)]))


def in_noise(images: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Root mean square errors of the frames where they change most; images of whitened data have noise of one.

    The images are brought to the reference, as for scores: the other way round its noise would count as signal.
    """
    ours, truth = images.astype(np.float64), reference.astype(np.float64)
    scale = (ours * truth).sum() / (ours**2).sum()
    return np.sqrt(((scale * ours - truth) ** 2)[:, dynamic_region(truth)].mean(1)) / scale


if __name__ == "__main__":
    main()
