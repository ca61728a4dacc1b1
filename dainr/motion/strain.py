"""Green-Lagrange strain of a Lagrangian displacement, along and across a wall, and its means over six sectors.

    E = (F^T F - I) / 2,    F = I + grad d,    E_rr = r . E r,    E_cc = c . E c

F: deformation gradient at the points of the reference, by central differences. r: unit vector outwards, c across it.
Positive is longer, negative shorter: a wall that thickens has E_rr > 0, one that shortens along itself E_cc < 0.
Sectors as those of the American Heart Association (Cerqueira et al., Circulation 2002;105:539): the middle of the first
is anterior, the others follow counter-clockwise as the image is shown, over the septum to the inferior wall.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from dainr.motion.jacobian import gradient

SECTORS = 6
ANTERIOR_DEG = 90.0  # upwards in the image, counter-clockwise from its right
SMOOTHING = 1.0  # pixels, of the depth in a wall whose contours say what is outwards


def green_lagrange(
    displacement: Float[np.ndarray, "*frame 2 y x"], spacing_mm: tuple[float, float]
) -> Float[np.ndarray, "*frame 2 2 y x"]:
    """The strain tensor in (x, y); `displacement` is in pixels, which need not be square."""
    dy, dx = spacing_mm
    size = np.array([dx, dy])
    f = gradient(displacement) * (size[:, None] / size)[..., None, None]
    stretch: np.ndarray = np.einsum("...kiyx,...kjyx->...ijyx", f, f)
    return 0.5 * (stretch - np.eye(2)[..., None, None])


def away_from_centre(
    centre: tuple[float, float], matrix: tuple[int, int], spacing_mm: tuple[float, float]
) -> Float[np.ndarray, "2 y x"]:
    """Unit vectors (x, y) from a centre (y, x), a place in pixels."""
    y, x = ((np.arange(n) - c) * size for n, c, size in zip(matrix, centre, spacing_mm, strict=True))
    away = np.stack(np.broadcast_arrays(x[None, :], y[:, None]))
    return away / np.maximum(np.hypot(*away), 1e-9)


def away_from_contour(wall: Bool[np.ndarray, "y x"], spacing_mm: tuple[float, float]) -> Float[np.ndarray, "2 y x"]:
    """Unit vectors (x, y) across a wall, from its inner contour to its outer one. The wall is a closed ring."""
    cavity = ndimage.binary_fill_holes(wall) & ~wall
    inner = ndimage.distance_transform_edt(~cavity, spacing_mm)
    outer = ndimage.distance_transform_edt(wall | cavity, spacing_mm)
    depth = ndimage.gaussian_filter(inner - outer, SMOOTHING)
    away = np.stack([np.gradient(depth, axis=1) / spacing_mm[1], np.gradient(depth, axis=0) / spacing_mm[0]])
    return away / np.maximum(np.hypot(*away), 1e-9)


def is_ring(wall: Bool[np.ndarray, "y x"]) -> bool:
    """Whether it encloses a cavity."""
    return bool((ndimage.binary_fill_holes(wall) & ~wall).any())


def middle_of(wall: Bool[np.ndarray, "y x"]) -> tuple[float, float]:
    """The centre (y, x) of what a wall encloses, itself included."""
    y, x = ndimage.center_of_mass(ndimage.binary_fill_holes(wall))
    return float(y), float(x)


def sectors(
    wall: Bool[np.ndarray, "y x"],
    centre: tuple[float, float],
    spacing_mm: tuple[float, float],
    anterior_deg: float = ANTERIOR_DEG,
) -> Int[np.ndarray, "y x"]:
    """The sector of each pixel of the wall, from 1; 0 outside. Angles are counter-clockwise as the image is shown."""
    x, y = away_from_centre(centre, (wall.shape[0], wall.shape[1]), spacing_mm)
    turned = np.rad2deg(np.arctan2(-y, x)) - anterior_deg
    return np.where(wall, np.floor(turned / (360 / SECTORS) + 0.5).astype(int) % SECTORS + 1, 0)


@dataclass(frozen=True, eq=False)
class WallStrain:
    """Strain of a wall over time; maps are nan outside it."""

    radial: Float[np.ndarray, "frame y x"]
    circumferential: Float[np.ndarray, "frame y x"]
    sectors: Int[np.ndarray, "y x"]

    def means(self) -> dict[str, Float[np.ndarray, "part frame"]]:
        """The mean of the wall, then of its sectors 1 to 6; nan of one that has no pixel."""
        parts = [self.sectors > 0, *(self.sectors == number for number in range(1, SECTORS + 1))]
        found = {}
        for name, maps in (("radial", self.radial), ("circumferential", self.circumferential)):
            empty = np.full(len(maps), np.nan)
            found[name] = np.array([maps[:, part].mean(1) if part.any() else empty for part in parts])
        return found


def wall_strain(
    displacement: Float[np.ndarray, "frame 2 y x"],
    wall: Bool[np.ndarray, "y x"],
    spacing_mm: tuple[float, float],
    centre: tuple[float, float] | None = None,
    anterior_deg: float = ANTERIOR_DEG,
) -> WallStrain:
    """Strain of a wall drawn on the reference, from the Lagrangian displacement (pixels) of one slice.

    Outwards is away from `centre` (y, x), or without one across the contours of the wall, where it is a ring, and
    away from its middle where it is none.
    """
    strain = green_lagrange(displacement, spacing_mm)
    middle = centre or middle_of(wall)
    matrix = (wall.shape[0], wall.shape[1])
    by_contour = centre is None and is_ring(wall)
    away = away_from_contour(wall, spacing_mm) if by_contour else away_from_centre(middle, matrix, spacing_mm)
    across = np.stack([-away[1], away[0]])
    along = [np.einsum("iyx,fijyx,jyx->fyx", way, strain, way) for way in (away, across)]
    radial, circumferential = (np.where(wall, values, np.nan).astype(np.float32) for values in along)
    return WallStrain(radial, circumferential, sectors(wall, middle, spacing_mm, anterior_deg))
