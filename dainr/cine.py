"""Cine: a reconstructed series with its times and geometry. Axes: `slice, frame, y, x`; nothing here touches files."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Complex, Float

PARALLEL = 0.01  # how far the directions of two slices may differ, radians
ASIDE = 0.5  # of a pixel: further aside of each other, slices are no stack
LEAST_GAP_MM = 1e-3

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
    affine: Float[np.ndarray, "4 4"] | None = None  # (x, y, slice) index -> RAS mm, of slices that are one stack
    planes: Float[np.ndarray, "slice 4 4"] | None = None  # of others, (x, y, 0) -> RAS mm of each
    assumed: tuple[str, ...] = ()  # what of LEFT_OPEN nobody said
    cyclic: bool | None = None  # whether the frames are one cycle of the heart; False: real time; None: not known

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size (y, x) in mm."""
        ny, nx = self.data.shape[-2:]
        return self.fov_mm[0] / ny, self.fov_mm[1] / nx

    @property
    def frame_spacing(self) -> float:
        """Mean time between frames in s; 0 for a single frame."""
        return float(np.diff(self.times).mean()) if len(self.times) > 1 else 0.0

    def volumes(self) -> list["Cine"]:
        """The slices that are stacks, each a cine with an affine; itself, where all are one."""
        if self.planes is None:
            return [self]
        groups = stacks(self.planes)
        affines = [stack_affine(self.planes[group]) for group in groups]
        return [
            replace(self, data=self.data[group], affine=affine, planes=None)
            for group, affine in zip(groups, affines, strict=True)
        ]

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


def stacks(planes: Float[np.ndarray, "slice 4 4"]) -> list[slice]:
    """Runs of slices that are parallel, straight above each other and in order: each is a stack."""
    starts = [0]
    for index in range(1, len(planes)):
        if not _above(planes[starts[-1]], planes[index - 1], planes[index]):
            starts.append(index)
    return [slice(start, end) for start, end in pairwise([*starts, len(planes)])]


def stack_affine(planes: Float[np.ndarray, "slice 4 4"]) -> Float[np.ndarray, "4 4"] | None:
    """The affine of slices that are one stack, None of others; of a single one its own."""
    if len(stacks(planes)) > 1:
        return None
    affine: np.ndarray = planes[0].copy()
    if len(planes) > 1:
        gaps = np.diff(planes[:, :3, 3] @ _normal(planes[0]))
        affine[:3, 2] = _normal(planes[0]) * np.median(gaps)
    return affine


def _normal(plane: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "3"]:
    normal: np.ndarray = plane[:3, 2] / np.linalg.norm(plane[:3, 2])
    return normal


def _above(first: np.ndarray, before: np.ndarray, plane: np.ndarray) -> bool:
    """Whether a plane is parallel to the first of a stack, straight above it, and above the one before it."""
    pixels = np.linalg.norm(first[:3, :2], axis=0)
    turned = first[:3, :2] / pixels - plane[:3, :2] / np.linalg.norm(plane[:3, :2], axis=0)
    shift, normal = plane[:3, 3] - first[:3, 3], _normal(first)
    aside = np.linalg.norm(shift - normal * (normal @ shift))
    above = normal @ (plane[:3, 3] - before[:3, 3])
    return bool(np.abs(turned).max() < PARALLEL and aside < ASIDE * pixels.min() and above > LEAST_GAP_MM)


def resample_affine(
    affine: Float[np.ndarray, "*slices 4 4"], old: tuple[int, int], new: tuple[int, int]
) -> Float[np.ndarray, "*slices 4 4"]:
    """The affine of the same field of view cut into `new` instead of `old` (ny, nx) pixels."""
    step = np.eye(4)
    for axis, (n_old, n_new) in enumerate(zip(old[::-1], new[::-1], strict=True)):
        step[axis, axis] = n_old / n_new
        step[axis, 3] = 0.5 * n_old / n_new - 0.5
    return affine @ step
