"""Temporal total variation by BART, on the whitened k-space of all coils and the coil maps that dainr made.

    bart pics -w 1 -i 100 -R T:1024:0:lambda

BART's axes: y, x, (one), coil, ..., time at position 10; of a trajectory: component, sample, readout. BART leaves the
data unscaled (-w 1), so lambda is in the units of the fit; the weights are multiples of the noise in a pixel of A^H y.
"""

import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import Finished, run_command
from dainr.assess.scores import Evaluation, evaluate
from dainr.io import load
from dainr.io.scans.bart import TIME, read_cfl, write_cfl
from dainr.prepare import PrepareConfig, Prepared, prepare_slice
from dainr.prepare.frames import frames_as_stored

WEIGHTS = (0.5, 1.0, 2.0, 4.0)  # standard deviations of the noise in a pixel of A^H y
ITERATIONS = 100


@dataclass(frozen=True)
class BartRun:
    """The run whose weight scored best: chosen by the reference, which no method could do on a patient."""

    weight: float
    scores: Evaluation
    seconds: float  # of `bart pics` alone
    peak_memory_mb: float


def bart_version() -> str | None:
    """The version of the `bart` on PATH, or None where there is none."""
    return run_command("bart", "version").stdout.strip() if shutil.which("bart") else None


def temporal_tv(scan_path: Path, reference: np.ndarray, work: Path, iterations: int = ITERATIONS) -> BartRun:
    """Reconstruct with every weight and keep the one with the best PSNR. Raises RuntimeError when BART fails."""
    scan = frames_as_stored(load(scan_path))
    slices = [
        prepare_slice(scan, index, PrepareConfig(holdout=0.0, coil_loss=0.0), 0) for index in range(scan.n_slices)
    ]
    options = [export(part, work / f"slice{index}") for index, part in enumerate(slices)]
    runs = []
    for weight in WEIGHTS:
        images, seconds, peak = [], 0.0, 0.0
        for index, part in enumerate(slices):
            done, image = pics(work / f"slice{index}", weight * pixel_noise(part), options[index], iterations)
            images.append(part.scale * image)
            seconds, peak = seconds + done.seconds, max(peak, done.peak_memory_mb)
        runs.append(BartRun(weight, evaluate(np.stack(images), reference), seconds, peak))
    return max(runs, key=lambda run: run.scores.whole.psnr)


def pics(base: Path, weight: float, options: list[str], iterations: int) -> tuple[Finished, np.ndarray]:
    """One reconstruction of exported data, `frame y x`."""
    regularisation = f"T:{1 << TIME}:0:{weight:.6g}"
    inputs = [f"{base}_kspace", f"{base}_maps", f"{base}_out"]
    done = run_command("bart", "pics", "-w", "1", "-i", str(iterations), "-R", regularisation, *options, *inputs)
    if done.code:
        raise RuntimeError(f"bart pics: {done.why}")
    image = read_cfl(Path(f"{base}_out"))
    return done, image.reshape(*image.shape[:2], -1).transpose(2, 0, 1)


def pixel_noise(part: Prepared) -> float:
    """Root mean square of the noise in a pixel of A^H y: a sample's times sqrt(samples a frame and coil / pixels)."""
    samples = part.kspace[0].size / len(part.frame_times)
    return part.noise_std * math.sqrt(samples / math.prod(part.matrix))


def export(part: Prepared, base: Path) -> list[str]:
    """Write k-space, maps and, off the grid, the trajectory; the options that name what `pics` needs of them."""
    write_cfl(Path(f"{base}_maps"), part.coil_maps.transpose(1, 2, 0)[:, :, None])
    if part.cartesian:
        write_cfl(Path(f"{base}_kspace"), _in_time(on_grid(part)[0].transpose(2, 3, 0, 1)[:, :, None]))
        return []
    counts = np.bincount(part.frame)
    position = np.arange(len(part.frame)) - (np.cumsum(counts) - counts)[part.frame]
    n_coils, _, n_samples = part.kspace.shape
    shape = (len(counts), counts.max(), n_samples)
    kspace, points = np.zeros((n_coils, *shape), np.complex64), np.zeros((*shape, 3))
    kspace[:, part.frame, position] = part.kspace
    points[part.frame, position, :, :2] = part.trajectory * np.array(part.matrix)
    write_cfl(Path(f"{base}_kspace"), _in_time(kspace.transpose(3, 2, 0, 1)[None]))
    write_cfl(Path(f"{base}_trajectory"), _in_time(points.transpose(3, 2, 1, 0)[:, :, :, None]))
    options = ["-t", f"{base}_trajectory"]
    if counts.min() < counts.max():  # frames were filled up with readouts that must not count
        weight = np.zeros(shape)
        weight[part.frame, position] = 1
        write_cfl(Path(f"{base}_weight"), _in_time(weight.transpose(2, 1, 0)[None, :, :, None]))
        options += ["-p", f"{base}_weight"]
    return options


def on_grid(part: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Cartesian samples on their grid, `coil frame ky kx`, and the lines measured, `frame ky`; doubles are averaged."""
    ny, nx = part.matrix
    at = np.rint(part.trajectory * np.array(part.matrix)).astype(int) + np.array([ny // 2, nx // 2])
    where = (np.broadcast_to(part.frame[:, None], at.shape[:2]), at[..., 0], at[..., 1])
    counts = np.zeros((len(part.frame_times), ny, nx))
    np.add.at(counts, where, 1)
    grid = np.zeros((len(part.kspace), *counts.shape), np.complex64)
    for coil, samples in zip(grid, part.kspace, strict=True):
        np.add.at(coil, where, samples)
    return grid / np.maximum(counts, 1), counts.max(-1) > 0


def _in_time(array: np.ndarray) -> np.ndarray:
    """Four axes and the frames after them, with the frames moved to BART's axis of time."""
    return array.reshape(*array.shape[:4], *[1] * (TIME - 4), array.shape[4])
