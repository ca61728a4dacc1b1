"""A slab of slices through one body: a phantom of ellipses as that of ellipsoids, cut at several heights."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dainr.simulate.phantom import Ellipse, Place

HALF_HEIGHT = 0.85  # of the slab, in half-axes of the ellipsoids


def cut_at(ellipses: Sequence[Ellipse], slice_index: int, n_slices: int) -> list[Ellipse]:
    """The ellipses where a slice of the slab cuts their ellipsoids: all shrink alike towards the ends."""
    height = HALF_HEIGHT * (slice_index - n_slices // 2) / max(n_slices / 2, 1)
    share = float(np.sqrt(1 - height**2))
    return [replace(one, centre=_scaled(one.centre, share), axes=_scaled(one.axes, share)) for one in ellipses]


def _scaled(place: Place, share: float) -> Place:
    def scaled(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        y, x = place(time)
        return share * y, share * x

    return scaled
