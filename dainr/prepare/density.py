"""Density compensation: how much k-space each sample stands for.

Readouts through the k-space centre get the ramp |k| of a radial trajectory; lines sample evenly and get one.
"""

import numpy as np
from jaxtyping import Float


def passes_centre(trajectory: Float[np.ndarray, "readout sample 2"]) -> bool:
    """Whether all readouts pass within two samples of the k-space centre, in more than one direction.

    Readouts of one sample pass nowhere.
    """
    if trajectory.shape[1] == 1:
        return False
    nearest = np.hypot(trajectory[..., 0], trajectory[..., 1]).min(1)
    return bool(nearest.max() < 2 / trajectory.shape[1] and np.ptp(trajectory, axis=(0, 1)).min() > 0.1)


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
