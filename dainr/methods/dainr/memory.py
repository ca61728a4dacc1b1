"""Memory of a slice's fit on a GPU, counted from the tensors it holds, and how many frames a step may render at once.

All parts are proportional to what a scan and its settings say: parameters, points of a frame, pixels, coils, frames.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from dainr.kernels.coordinates import even_times
from dainr.machine.device import memory_bytes
from dainr.methods.common import MethodConfig, frames_that_fit
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.start import build_pointwise, build_warped
from dainr.operators.nufft.window import WIDTH
from dainr.scan import Scan

COMPLEX, REAL = 8, 4  # bytes
PARAMETER_COPIES = 6  # the parameters, their gradients, two moments, the best state and a checkpoint
IMAGE_COPIES = 20  # complex images per frame that a step renders: canonical space, images, gradients, differences
COIL_COPIES = 4  # the same per coil: coil images, and their spectra on the finer grid, on the way there and back
SAMPLE_COPIES = 4  # measured and predicted samples, residuals and their gradients, per coil
WINDOW_BYTES = 2 * WIDTH**2 * (REAL + 4)  # of a point in the matrix that interpolates it, and in its transpose
RESTORER_BYTES, RESTORED_BYTES = 16 * 2**20, 1500  # the network, and what it holds of a pixel it looks at


@dataclass(frozen=True)
class Parts:
    """Bytes: what is there however few frames are rendered at once, and what every frame of those adds."""

    kept: int
    windows: int  # the part of it that some frames of all need once more
    per_frame: int
    n_frames: int  # that a step shows, subframes counted

    def of(self, at_once: int) -> int:
        """All of it, with so many frames at once; 0: all."""
        if not 0 < at_once < self.n_frames:
            return self.kept + self.per_frame * self.n_frames
        return self.kept + self.windows + self.per_frame * at_once

    def fitting(self, room: int) -> int:
        """As many frames at once as there is room for, two at least."""
        if self.of(0) <= room:
            return self.n_frames
        return min(max((room - self.of(1)) // self.per_frame + 1, 2), self.n_frames)


def fit_bytes(scan: Scan, config: MethodConfig) -> int:
    """What the tensors of one slice take of a GPU, for a binned scan; of a classical method about as much as a fit."""
    parts = count_parts(scan, config)
    if not isinstance(config, DainrConfig):
        return parts.of(0)
    return parts.of(config.fit.frames_at_once if config.field == "warped" else config.fit.frames_per_step)


def frames_at_once(scan: Scan, config: DainrConfig, device: torch.device) -> int:
    """How many frames, or subframes, a step may render at once within half of the memory, two at least."""
    if device.type == "cpu":
        return frames_that_fit(scan, device, config.subframes)
    return count_parts(scan, config).fitting(memory_bytes(device) // 2)


def count_parts(scan: Scan, config: MethodConfig) -> Parts:
    """The bytes of a slice of a binned scan."""
    pixels, n_coils = math.prod(scan.matrix), min(config.prepare.virtual_coils or scan.n_coils, scan.n_coils)
    n_points = int(scan.used.sum(1).max()) * scan.n_samples
    n_frames = scan.n_frames * (config.subframes if isinstance(config, DainrConfig) else 1)
    windows = 0 if scan.is_cartesian else n_points * WINDOW_BYTES
    points = n_points * SAMPLE_COPIES * n_coils * COMPLEX + windows
    per_frame = COMPLEX * pixels * (IMAGE_COPIES + COIL_COPIES * n_coils)
    if not isinstance(config, DainrConfig):
        return Parts(points, windows, per_frame, n_frames)
    model = _model(scan, config, n_coils)
    kept = points + PARAMETER_COPIES * sum(REAL * p.numel() for p in model.parameters())
    if config.encoder != "none":
        kept += RESTORER_BYTES + RESTORED_BYTES * pixels
    if config.field == "pointwise":
        widths = sum(m.in_features + m.out_features for m in model.modules() if isinstance(m, nn.Linear))
        per_frame += REAL * widths * pixels
    return Parts(kept, windows, per_frame, n_frames)


def _model(scan: Scan, config: DainrConfig, n_coils: int) -> nn.Module:
    """The field of a slice, without any memory of its own."""
    times, here = even_times([0.0, 1.0], scan.n_frames), replace(config, device="meta", grid="auto")
    with torch.device("meta"):
        if config.field == "pointwise":
            return build_pointwise(replace(here, grid="native"), times, scan.matrix, None)
        return build_warped(here, times, scan.matrix, torch.zeros(n_coils, *scan.matrix, dtype=torch.complex64), False)
