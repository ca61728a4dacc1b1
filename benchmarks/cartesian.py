"""Cartesian data by the transforms on the grid and by NUFFTs: milliseconds, ratio and error.

    python -m benchmarks.cartesian [SCAN ...] [--device cpu] [-o cartesian.md]

Every operator measures the slice's images through its coil maps and takes the samples back, as in a step of a fit; all
take turns, and medians are shown. Errors are against the FFT in double precision. Without scans: VISTA-like lines of a
phantom of 192 x 192, 8-fold and 3-fold.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Report, heading, table
from dainr.io import load
from dainr.machine.device import resolve_device
from dainr.operators.cartesian import CartesianOperator
from dainr.operators.cartesian_lines import make_cartesian
from dainr.operators.fourier import FourierOperator, frame_points
from dainr.operators.nufft import available_backends, make_nufft
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate_phantom

ROUNDS, COILS = 9, 4  # as many virtual coils as the compression leaves of eight


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table for each scan."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", nargs="*", type=Path)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--matrix", type=int, default=192, help="of the phantoms")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write beside stdout")
    asked = parser.parse_args(arguments)
    device = resolve_device(asked.device)
    report = Report(asked.output)
    report.add(heading("Cartesian operators", "cartesian", arguments, asked.device))
    for scan in [frames_as_stored(load(name)) for name in asked.scans] or phantoms(asked.matrix):
        if not scan.is_cartesian:
            parser.error(f"{scan.name} is not Cartesian")
        report.add(measured(scan, device))


def phantoms(matrix: int) -> list[Scan]:
    """Phantoms of few and of many lines."""
    configs = [SimulationConfig(pattern="vista", acceleration=r, matrix=matrix) for r in (8.0, 3.0)]
    return [simulate_phantom(config) for config in configs]


def measured(scan: Scan, device: torch.device) -> str:
    """How long every operator takes for all frames of the first slice, and its largest error."""
    assert scan.frame is not None
    n_coils = min(scan.n_coils, COILS)
    points = frame_points(scan.trajectory[0], scan.frame[0], scan.n_frames)
    operators: dict[str, FourierOperator] = {"as a fit uses it": make_cartesian(points, scan.matrix, n_coils, device)}
    operators["FFT"] = CartesianOperator(points, scan.matrix, n_coils, device)
    for name in available_backends(device):
        operators[f"NUFFT, {name}"] = make_nufft(name, points, scan.matrix, n_coils, device)
    random = torch.Generator().manual_seed(0)
    images = torch.randn(scan.n_frames, *scan.matrix, dtype=torch.complex64, generator=random).to(device)
    maps = torch.randn(n_coils, *scan.matrix, dtype=torch.complex64, generator=random).to(device)
    seconds = {name: np.median(times) for name, times in clock(operators, images, maps).items()}
    exact = CartesianOperator(points, scan.matrix, n_coils, device).measure(images.to(torch.complex128), maps)
    first = seconds["as a fit uses it"]
    rows = []
    for name, operator in operators.items():
        error = float((operator.measure(images, maps) - exact).abs().max() / exact.abs().max())
        rows.append([name, f"{1e3 * seconds[name]:.0f}", f"{seconds[name] / first:.1f}", f"{error:.0e}"])
    ny, nx = scan.matrix
    lines = f"{scan.readouts_per_frame[0].min()} to {scan.readouts_per_frame[0].max()} lines"
    about = f"{ny} x {nx}, {scan.n_frames} frames of {lines}, {n_coils} coils, {device.type}:"
    return f"{about}\n\n{table(('operator', 'ms', 'ratio', 'error'), rows)}"


def clock(operators: dict[str, FourierOperator], images: torch.Tensor, maps: torch.Tensor) -> dict[str, list[float]]:
    """Seconds of there and back in every round but the first; all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in operators}
    for _ in range(ROUNDS):
        for name, operator in operators.items():
            start = time.perf_counter()
            operator.measure_adjoint(operator.measure(images, maps), maps, images)
            if images.is_cuda:
                torch.cuda.synchronize(images.device)
            seconds[name].append(time.perf_counter() - start)
    return {name: times[1:] for name, times in seconds.items()}


if __name__ == "__main__":
    main()
