"""The Gram operator of unrolled networks by the transforms of the acquisition, and as a product in Fourier space.

    python -m benchmarks.gram SCAN ... [--device cpu] [-o gram.md]

Off the grid the product is at twice the matrix (Toeplitz). Both take turns on all frames of the first slice, and
medians are shown. The kernel is made once for each scan, and once more for every other choice of readouts.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch

from benchmarks.common import Report, heading, table
from dainr.io import load
from dainr.machine.device import resolve_device, synchronise
from dainr.operators.gram import KernelGram, grid_kernel, toeplitz_kernel
from dainr.prepare import PrepareConfig, prepare_slice
from dainr.prepare.frame_data import frame_data, readouts_in_order
from dainr.prepare.frames import frames_as_stored
from dainr.prepare.groups import measurements
from dainr.scan import Scan

ROUNDS = 9
HEADER = ("scan", "frames, coils", "transforms ms", "product ms", "its kernel s", "differ by")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a row for each scan."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="+", type=Path)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write beside stdout")
    asked = parser.parse_args(arguments)
    device, report = resolve_device(asked.device), Report(asked.output)
    report.add(heading("Gram operators", "gram", arguments, asked.device))
    report.add(table(HEADER, [row(frames_as_stored(load(path)), path.stem, device) for path in asked.scans]))


def row(scan: Scan, name: str, device: torch.device) -> list[str]:
    """What both take for all frames of the first slice, and how far they are apart."""
    prepared = prepare_slice(scan, 0, PrepareConfig(holdout=0.0), 0)
    everything = ~prepared.held_out
    data = frame_data(prepared, everything, "compiled" if device.type == "cpu" else "sparse", device)
    known = measurements(prepared, data, cyclic=False)
    measured, order = known.of(), readouts_in_order(prepared, everything)
    points = torch.from_numpy(prepared.trajectory[order].reshape(-1, 2)).to(device)
    kernel_of, began = grid_kernel if prepared.cartesian else toeplitz_kernel, time.perf_counter()
    kernels = [kernel_of(points[a:b], known.weights[a:b], prepared.matrix) for a, b in pairwise(data.starts)]
    synchronise(device)
    made = time.perf_counter() - began
    grams = (measured.gram, KernelGram(data.operator.maps, torch.stack(kernels)))
    first, second = (gram(measured.rhs) for gram in grams)
    seconds: tuple[list[float], list[float]] = [], []
    for _ in range(ROUNDS):
        for gram, taken in zip(grams, seconds, strict=True):
            began = time.perf_counter()
            gram(measured.rhs)
            synchronise(device)
            taken.append(time.perf_counter() - began)
    apart = float(torch.linalg.vector_norm(first - second) / torch.linalg.vector_norm(first))
    times = (f"{1e3 * median(taken):.1f}" for taken in seconds)
    return [name, f"{len(first)}, {len(data.operator.maps)}", *times, f"{made:.2f}", f"{apart:.0e}"]


if __name__ == "__main__":
    main()
