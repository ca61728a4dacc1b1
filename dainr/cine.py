"""Cine: a reconstructed series with its times and geometry. Axes: `slice, frame, y, x`; nothing here touches files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

# What a scan file may leave open, by the name of the option that says it.
LEFT_OPEN = {
    "pixel_mm": "the size of pixels",
    "slice_mm": "the slice thickness",
    "frame_ms": "the times of frames",
    "readout_ms": "the times of readouts",
}


@dataclass(frozen=True, eq=False)
class Cine:
    """A reconstructed series: complex images with times and geometry."""

    data: Complex[np.ndarray, "slice frame y x"]
    times: Float[np.ndarray, " frame"]  # s
    fov_mm: tuple[float, float]  # y, x
    slice_thickness_mm: float
    affine: Float[np.ndarray, "4 4"] | None = None  # (x, y, slice) index -> RAS mm
    assumed: tuple[str, ...] = ()  # what of LEFT_OPEN nobody said

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size (y, x) in mm."""
        ny, nx = self.data.shape[-2:]
        return self.fov_mm[0] / ny, self.fov_mm[1] / nx

    @property
    def frame_spacing(self) -> float:
        """Mean time between frames in s; 0 for a single frame."""
        return float(np.diff(self.times).mean()) if len(self.times) > 1 else 0.0

    def orientation(self) -> Float[np.ndarray, "4 4"]:
        """The affine of the file, or where it had none an axial one centred on the field of view."""
        if self.affine is not None:
            return self.affine
        ny, nx = self.data.shape[-2:]
        dy, dx = self.spacing_mm
        affine = np.diag([-dx, -dy, self.slice_thickness_mm, 1.0])
        affine[:2, 3] = 0.5 * dx * (nx - 1), 0.5 * dy * (ny - 1)
        return affine


def in_words(assumed: Sequence[str]) -> str:
    """What is left open: "the size of pixels, the slice thickness and the times of frames"."""
    *first, last = (LEFT_OPEN.get(name, name) for name in assumed)
    return f"{', '.join(first)} and {last}" if first else last


def resample_affine(
    affine: Float[np.ndarray, "4 4"], old: tuple[int, int], new: tuple[int, int]
) -> Float[np.ndarray, "4 4"]:
    """The affine of the same field of view cut into `new` instead of `old` (ny, nx) pixels."""
    step = np.eye(4)
    for axis, (n_old, n_new) in enumerate(zip(old[::-1], new[::-1], strict=True)):
        step[axis, axis] = n_old / n_new
        step[axis, 3] = 0.5 * n_old / n_new - 0.5
    return affine @ step
