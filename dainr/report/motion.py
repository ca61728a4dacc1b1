"""How tissue moves, for the report: a grid laid on the first frame and carried along, and how far all has moved."""

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool

from dainr.fields.warped import WarpedCine
from dainr.io.images.video import windowed
from dainr.methods.recon import Recon
from dainr.motion import Motion
from dainr.report.figures import colours, gradient, png, sprite

PALETTE = "viridis"
MOST_NODES, FEWEST, MOST_A_SIDE = 60_000, 16, 48  # of the grid in all frames of a slice, and along its sides
STEPS = 10_000  # to a field of view: the units places are told in
SIGNAL = 0.05  # of the brightest pixel: what is darker over time is air, and its motion means nothing
TOP_PERCENTILE = 99.9  # of how far tissue moves: the end of the scale


@dataclass(frozen=True)
class MotionFacts:
    """What the page says of the motion: the end of the scale, and how often it folds."""

    top_mm: float
    largest_mm: float
    folded: int
    points: int
    assumed: bool  # the size of pixels, and so all mm

    @property
    def colours(self) -> str:
        """Those of the scale, as a gradient."""
        return gradient(PALETTE)


def motion_pictures(recon: Recon) -> tuple[list[dict[str, Any]], MotionFacts] | None:
    """Of every slice what the script draws, and the facts; None where the fit has no motion of tissue.

    The pointwise field has none to show: its canonical space knows the time, and need not move.
    """
    fields = [field for field in recon.fields if isinstance(field, WarpedCine)]
    if not fields or recon.cine.data.shape[1] < 2:
        return None
    motion = recon.displacement(matrix=_nodes(recon), reference=float(recon.cine.times[0]))
    size = np.hypot(motion.mm[:, :, 0], motion.mm[:, :, 1]) * _signal(recon, motion.matrix)[:, None]
    top = max(float(np.percentile(size, TOP_PERCENTILE)), 1e-3)
    slices = [
        {
            "nodes": _packed(motion, index),
            "moved": png(sprite(windowed(size[index], top)), colours(PALETTE)),
        }
        for index in range(len(size))
    ]
    facts = MotionFacts(
        top, float(size.max()), int(motion.folded.sum()), motion.folded.size, "pixel_mm" in motion.assumed
    )
    ny, nx = motion.matrix
    return [{"rows": ny, "columns": nx, "steps": STEPS} | one for one in slices], facts


def _nodes(recon: Recon) -> tuple[int, int]:
    """Rows and columns of the grid: no more than the page can hold, and none finer than the pixels."""
    n_frames, ny, nx = recon.cine.data.shape[1:]
    side = min(max(int(math.sqrt(MOST_NODES / n_frames)), FEWEST), MOST_A_SIDE)
    return min(side, ny), min(side, nx)


def _signal(recon: Recon, matrix: tuple[int, int]) -> Bool[np.ndarray, "slice y x"]:
    """Where there is tissue to be seen, on the pixels of the grid."""
    ny, nx = recon.cine.data.shape[2:]
    rows, columns = (((np.arange(m) + 0.5) * n / m).astype(int) for m, n in zip(matrix, (ny, nx), strict=True))
    means = np.stack([np.abs(image).mean(0) for image in recon.cine.data])
    return means[:, rows[:, None], columns] > SIGNAL * means.max()


def _packed(motion: Motion, index: int) -> str:
    """Displacements `frame 2 y x` of a slice in steps of a field of view, 16 bits each, little-endian, as base64."""
    size = np.array([motion.matrix[1], motion.matrix[0]], np.float32)[:, None, None]
    steps = np.clip(np.rint(STEPS * motion.displacement[index] / size), -32768, 32767)
    return base64.b64encode(steps.astype("<i2").tobytes()).decode()
