"""The inverse of a displacement by fixed-point iteration.

    v(q) = -d(q + v(q)),    v <- v - s (v + d(q + v))

(Chen et al., Med Phys 2008;35:81). The step s is one, and halved wherever a step has not come nearer. Where tissue
folds there is no inverse: such points stay further off than the tolerance, and are counted.
"""

import numpy as np
from jaxtyping import Bool

from dainr.motion.sampling import Displacement, Smooth, places

TOLERANCE = 0.05  # pixels
AIM = 0.1  # of the tolerance, at which a point is left
ITERATIONS = 100


def inverted(displacement: Displacement) -> tuple[Displacement, Bool[np.ndarray, "y x"]]:
    """The displacement that leads back, and where it does so to 0.05 pixel: x + d(x) = q for x = q + v(q)."""
    forward = Smooth(displacement)
    found = -displacement.astype(np.float64)
    missed = found + forward.at(places(found))
    error, step = np.hypot(*missed), np.ones(displacement.shape[1:])
    for _ in range(ITERATIONS):
        if (error < AIM * TOLERANCE).all():
            break
        tried = found - step * missed
        of_tried = tried + forward.at(places(tried))
        new = np.hypot(*of_tried)
        nearer = new < error
        found, missed = np.where(nearer, tried, found), np.where(nearer, of_tried, missed)
        error, step = np.where(nearer, new, error), np.where(nearer, np.minimum(1.0, 1.5 * step), 0.5 * step)
    return found, error < TOLERANCE
