"""Density compensation: how much k-space each sample stands for.

Readouts through the k-space centre that turn evenly about it share the area of a ring, |k| d|k|. So spokes get the ramp
|k|, and spirals also how fast |k| grows (Hoge et al., Magn Reson Med 1997;38:117). Lines sample evenly and get one.
"""

import numpy as np
from jaxtyping import Float

from dainr.machine.kept import kept

LOOKS = 64  # places along a readout at which its way is looked at
BENT = 0.02  # of a readout's length: further aside of the straight line it bends


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


def spiral_density(trajectory: Float[np.ndarray, "readout sample 2"]) -> Float[np.ndarray, "readout sample"]:
    """|k| times its growth from sample to sample, over the maximum; at the centre the disc that its sample covers."""
    radius = np.hypot(trajectory[..., 0], trajectory[..., 1]).astype(np.float64)
    area = radius * np.abs(np.gradient(radius, axis=1))
    step = float(np.median(np.hypot(*np.moveaxis(np.diff(trajectory, axis=1), -1, 0))))
    area = np.maximum(area, 0.125 * step**2)
    return (area / area.max()).astype(np.float32)


def bends(trajectory: Float[np.ndarray, "readout sample 2"]) -> bool:
    """Whether readouts leave the line from their first to their last sample, as spirals do and spokes do not."""
    from_start, along = trajectory - trajectory[:, :1], trajectory[:, -1:] - trajectory[:, :1]
    aside = np.abs(from_start[..., 0] * along[..., 1] - from_start[..., 1] * along[..., 0]).max(1)
    longest = np.hypot(*np.moveaxis(from_start, -1, 0)).max(1)
    return bool(np.median(aside / np.maximum(longest, 1e-12) ** 2) > BENT)


def is_spiral(trajectory: Float[np.ndarray, "readout sample 2"]) -> bool:
    """Whether readouts bend and pass the k-space centre, and lead outwards from it, into it, or both."""
    if not passes_centre(trajectory) or not bends(trajectory):
        return False
    seen = np.linspace(0, trajectory.shape[1] - 1, min(LOOKS, trajectory.shape[1])).astype(int)
    outwards = np.diff(np.hypot(*np.moveaxis(trajectory[:, seen], -1, 0)), axis=1) > 0
    return bool(np.median((outwards[:, 1:] != outwards[:, :-1]).sum(1)) <= 1)


@kept()
def estimated_density(
    trajectory: Float[np.ndarray, "readout sample 2"], pixels_per_mm: Float[np.ndarray, "2"]
) -> tuple[str, Float[np.ndarray, "readout sample"]]:
    """Which of these densities a trajectory in cycles per pixel has, and it."""
    if is_spiral(trajectory):
        return "spiral", spiral_density(trajectory * pixels_per_mm)
    if passes_centre(trajectory) and not bends(trajectory):
        return "ramp", ramp_density(trajectory * pixels_per_mm)
    return "one", even_density(trajectory)


def even_density(trajectory: Float[np.ndarray, "readout sample 2"]) -> Float[np.ndarray, "readout sample"]:
    """One for every sample: on-grid data."""
    return np.ones(trajectory.shape[:2], np.float32)
