"""GRAPPA by pygrappa, an optional package, on the whitened lines of all coils; combined by dainr's coil maps.

Calibration lines are the frame's own where a block about the centre wide enough for the kernel was measured; else those
of the time average, as TGRAPPA takes them. The kernel spans two steps of the undersampling along y, so that a missing
line has measured ones on both sides, and 5 samples along x. What no kernel reaches stays zero.
"""

import importlib.util
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Complex

from benchmarks.bart import on_grid
from dainr.assess.scores import Evaluation, evaluate
from dainr.io import load
from dainr.prepare import PrepareConfig, Prepared, prepare_slice
from dainr.prepare.frames import frames_as_stored

ALONG_X = 5  # samples of the kernel
TIKHONOV = 0.1  # of the kernels, relative: of 0.01 to 3 the best on two 8-fold short axes
BEYOND = 3, 15  # calibration lines more than the kernel has: at least, and at most


@dataclass(frozen=True)
class GrappaRun:
    """Scores, and what the kernels and the lines they filled took, without preparation."""

    scores: Evaluation
    seconds: float


def grappa_version() -> str | None:
    """The version of pygrappa, or None where it is not installed."""
    return version("pygrappa") if importlib.util.find_spec("pygrappa") else None


def reconstruct(scan_path: Path, reference: np.ndarray) -> GrappaRun:
    """Reconstruct and score. Raises RuntimeError for what is no Cartesian scan or has no calibration lines anywhere."""
    scan = frames_as_stored(load(scan_path))
    if not scan.is_cartesian:
        raise RuntimeError("GRAPPA takes lines on a grid alone")
    images, seconds = [], 0.0
    for index in range(scan.n_slices):
        part = prepare_slice(scan, index, PrepareConfig(holdout=0.0, coil_loss=0.0), 0)
        started = time.perf_counter()
        images.append(part.scale * combined(fill(*on_grid(part)), part))
        seconds += time.perf_counter() - started
    return GrappaRun(evaluate(np.stack(images), reference), seconds)


def fill(
    kspace: Complex[np.ndarray, "coil frame ky kx"], measured: Bool[np.ndarray, "frame ky"]
) -> Complex[np.ndarray, "coil frame ky kx"]:
    """The k-space with its missing lines filled in. Raises RuntimeError without calibration lines."""
    from pygrappa import grappa

    step = round(measured.size / measured.sum())
    kernel = (2 * step + 1, ALONG_X)
    fewest, most = (kernel[0] + n for n in BEYOND)
    average = kspace.sum(1) / np.maximum(measured.sum(0), 1)[:, None]
    filled = np.empty_like(kspace)
    for frame, mine in enumerate(measured):
        own, common = (central_block(lines, most) for lines in (mine, measured.max(0)))
        if _length(own) >= fewest:
            calibration = kspace[:, frame, own]
        elif _length(common) >= fewest:
            calibration = average[:, common]
        else:
            raise RuntimeError(f"{_length(common)} calibration lines, also of the time average, are too few")
        filled[:, frame] = grappa(kspace[:, frame], calibration, kernel, coil_axis=0, lamda=TIKHONOV)
    return filled


def central_block(measured: Bool[np.ndarray, " ky"], most: int) -> slice:
    """The measured lines without a gap about the centre, the nearest `most`; none, where it was not measured."""
    centre, gaps = len(measured) // 2, np.flatnonzero(~measured)
    if not measured[centre]:
        return slice(centre, centre)
    first, end = int(gaps[gaps < centre].max(initial=-1)) + 1, int(gaps[gaps > centre].min(initial=len(measured)))
    return slice(max(first, centre - most // 2), min(end, centre + most - most // 2))


def combined(kspace: Complex[np.ndarray, "coil frame ky kx"], part: Prepared) -> Complex[np.ndarray, "frame y x"]:
    """Images of all coils as one, weighted by the coil maps."""
    coils = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, (-2, -1)), norm="ortho"), (-2, -1))
    maps = part.coil_maps[:, None]
    return (maps.conj() * coils).sum(0) / np.maximum((np.abs(maps) ** 2).sum(0), 1e-12)


def _length(block: slice) -> int:
    return block.stop - block.start
