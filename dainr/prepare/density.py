"""Density compensation: how much k-space each sample stands for.

Non-Cartesian data gets the ramp |k| of a radial trajectory; on-grid data samples evenly and gets one.
"""

import numpy as np
from jaxtyping import Float


def ramp_density(trajectory: Float[np.ndarray, "readout sample 2"]) -> Float[np.ndarray, "readout sample"]:
    """|k| over its maximum, and at the centre a quarter of the smallest step, which is the area that sample covers."""
    radius = np.hypot(trajectory[..., 0], trajectory[..., 1]).astype(np.float32)
    largest = float(radius.max())
    if largest == 0:
        return np.ones_like(radius)
    step = np.hypot(*np.moveaxis(np.diff(trajectory, axis=1), -1, 0)) if trajectory.shape[1] > 1 else radius
    centre = 0.25 * float(np.median(step)) if step.size else largest
    return (np.maximum(radius, max(centre, 1e-3 * largest)) / largest).astype(np.float32)


def even_density(trajectory: Float[np.ndarray, "readout sample 2"]) -> Float[np.ndarray, "readout sample"]:
    """One for every sample: on-grid data."""
    return np.ones(trajectory.shape[:2], np.float32)
