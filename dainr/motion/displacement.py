"""Motion over time: dense displacements of every slice and frame, with their times and geometry."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import map_coordinates

from dainr.cine import Cine, stack_affine, stacks
from dainr.motion.inverse import inverted
from dainr.motion.jacobian import determinant
from dainr.motion.sampling import Displacement, composed, places

log = logging.getLogger(__name__)

Kind = Literal["lagrangian", "eulerian"]
PullBack = Callable[[float], Displacement]  # from the pixels of the image at a time (s) to canonical space


@dataclass(frozen=True, eq=False)
class Motion:
    """Displacements of a series against its reference; see `dainr.motion` for the two kinds.

    `displacement` is (x, y) in pixels. Where `found` is false tissue folds, and the displacement leads to its place no
    nearer than 0.05 pixel.
    """

    displacement: Float[np.ndarray, "slice frame 2 y x"]
    found: Bool[np.ndarray, "slice frame y x"]
    kind: Kind
    reference: float | None  # a time in s; None: canonical space
    times: Float[np.ndarray, " frame"]  # s
    fov_mm: tuple[float, float]  # y, x
    slice_thickness_mm: float
    affine: Float[np.ndarray, "4 4"] | None = None  # as those of Cine
    planes: Float[np.ndarray, "slice 4 4"] | None = None
    assumed: tuple[str, ...] = ()  # "pixel_mm" where nobody said the size of pixels, and lengths in mm are a guess

    @property
    def matrix(self) -> tuple[int, int]:
        """Pixels (ny, nx)."""
        ny, nx = self.displacement.shape[-2:]
        return ny, nx

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size (y, x) in mm."""
        return self.fov_mm[0] / self.matrix[0], self.fov_mm[1] / self.matrix[1]

    @property
    def mm(self) -> Float[np.ndarray, "slice frame 2 y x"]:
        """The displacements (x, y) in mm, along the rows and columns of the image."""
        dy, dx = self.spacing_mm
        in_mm: np.ndarray = self.displacement * np.array([dx, dy], np.float32)[:, None, None]
        return in_mm

    @property
    def jacobian(self) -> Float[np.ndarray, "slice frame y x"]:
        """Jacobian determinants: how many times its area tissue takes at the other end."""
        return determinant(self.displacement)

    @property
    def folded(self) -> Bool[np.ndarray, "slice frame y x"]:
        """Where the displacement folds: its Jacobian determinant is not positive."""
        return self.jacobian <= 0

    def say_folding(self) -> None:
        """Log where tissue folds, and where an inverse is therefore not to be had."""
        if folds := int(self.folded.sum()):
            log.warning("the deformation folds in %d of %d pixels: do not trust it there", folds, self.folded.size)
        if lost := int((~self.found).sum()):
            log.warning("%d of %d displacements are not found to 0.05 pixel", lost, self.found.size)

    def orientation(self) -> Float[np.ndarray, "4 4"]:
        """(x, y, slice) index -> RAS mm, as that of the cine."""
        return self.cine(np.broadcast_to(np.float32(0), self.found.shape)).orientation()

    def volumes(self) -> list["Motion"]:
        """The slices that are stacks, each with an affine of its own; itself, where all are one."""
        if self.planes is None:
            return [self]
        groups = stacks(self.planes)
        return [
            replace(
                self,
                displacement=self.displacement[group],
                found=self.found[group],
                affine=stack_affine(self.planes[group]),
                planes=None,
            )
            for group in groups
        ]

    def cine(self, maps: Float[np.ndarray, "slice frame y x"]) -> Cine:
        """Real maps on the same pixels and times, as a series that can be written."""
        geometry = (self.fov_mm, self.slice_thickness_mm, self.affine, self.planes, self.assumed)
        return Cine(maps.astype(np.complex64), self.times, *geometry)


def displacement_between(
    pull_back: PullBack, times: Sequence[float], reference: float | None, kind: Kind
) -> tuple[Float[np.ndarray, "frame 2 y x"], Bool[np.ndarray, "frame y x"]]:
    """Displacements of one slice between a reference and every time, and where they are found to 0.05 pixel.

    With p_t from the image at t to canonical space: Lagrangian p_t^-1 (p_reference(X)) - X at points X of the
    reference, Eulerian p_reference^-1 (p_t(x)) - x at points x of the image at t.
    """
    now = None if reference is None else pull_back(reference)
    back = None if now is None or kind == "lagrangian" else inverted(now)
    found, sure = [], []
    for time in times:
        one, good = _between(pull_back(time), now, back, kind)
        found.append(one)
        sure.append(good)
    return np.stack(found).astype(np.float32), np.stack(sure)


def _between(
    here: Displacement,
    now: Displacement | None,
    back: tuple[Displacement, Bool[np.ndarray, "y x"]] | None,
    kind: Kind,
) -> tuple[Displacement, Bool[np.ndarray, "y x"]]:
    """That of one time; `now` leads from the reference to canonical space, `back` the other way."""
    if kind == "eulerian" and back is None:
        return here, np.ones(here.shape[1:], bool)
    if kind == "eulerian" and back is not None:
        return composed(here, back[0]), _reached(here, back[1])
    away, good = inverted(here)
    return (away, good) if now is None else (composed(now, away), _reached(now, good))


def _reached(displacement: Displacement, good: Bool[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Pixels that are carried to where all is well."""
    reached: np.ndarray = map_coordinates(good.astype(np.float64), places(displacement), order=1, mode="nearest") > 0.99
    return reached
