"""Values between pixels, and displacements after one another.

Between pixels a displacement is a cubic B-spline through those it is given at (Unser, IEEE Signal Process Mag
1999;16:22); beyond the edge it is that of the edge.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import map_coordinates, spline_filter

Displacement = Float[np.ndarray, "2 y x"]  # (x, y) in pixels


def places(displacement: Displacement) -> Float[np.ndarray, "2 y x"]:
    """Where the pixels are carried, (y, x) as indices."""
    n_y, n_x = displacement.shape[1:]
    y, x = np.meshgrid(np.arange(n_y, dtype=np.float64), np.arange(n_x, dtype=np.float64), indexing="ij")
    return np.stack([y + displacement[1], x + displacement[0]])


class Smooth:
    """Maps `part y x` that can be read between their pixels."""

    def __init__(self, maps: Float[np.ndarray, "part y x"]) -> None:
        self.coefficients = [spline_filter(part.astype(np.float64), 3, mode="nearest") for part in maps]

    def at(self, where: Float[np.ndarray, "2 ..."]) -> Float[np.ndarray, "part ..."]:
        """Their values at places (y, x)."""
        return np.stack(
            [map_coordinates(part, where, order=3, mode="nearest", prefilter=False) for part in self.coefficients]
        )


def composed(first: Displacement, then: Displacement) -> Displacement:
    """One displacement after another: x -> x + first(x) + then(x + first(x))."""
    return first + Smooth(then).at(places(first))


def seen(image: Float[np.ndarray, "y x"], displacement: Displacement, order: int = 1) -> Float[np.ndarray, "y x"]:
    """An image at displaced pixels: by an Eulerian displacement, the reference as it looks at that time.

    `order`: of the spline between pixels, 0 the nearest one. Beyond the edge is nothing.
    """
    found: np.ndarray = map_coordinates(
        image.astype(np.float64), places(displacement), order=order, mode="grid-constant", cval=0.0
    )
    return found
