"""First-pass perfusion: a chest that breathes slightly, a frame at each heartbeat, and contrast that comes and goes.

Contrast rises and falls by a gamma variate, g(s) = (s e^(1 - s))^a, with s = 0 on arrival and 1 at the peak.
"""

import numpy as np

from dainr.simulate.phantom import Ellipse, Varying, beating_heart, chest, shifted, still_ellipse

ENHANCED = 0.9, 0.75, 0.5, 0.30  # densities at the peaks: right blood, left blood, aorta, left wall
DEFECT = 0.85  # of the wall's enhancement, that is missing from its dark segment
BREATHS, BREATH = 9, 0.006  # in the whole scan, and how far each moves along y


def perfused_thorax() -> list[Ellipse]:
    """The right ventricle brightens first, then the left and the aorta, late and weakly the wall, but for a segment."""
    right, left = gamma_variate(0.10, 0.22), gamma_variate(0.22, 0.35)
    aorta, wall = gamma_variate(0.25, 0.39), gamma_variate(0.28, 0.55, 1.0)
    of_right, of_left, of_aorta, of_wall = ENHANCED

    def over_wall(time: np.ndarray) -> np.ndarray:
        """How much brighter the blood of the left ventricle is than its wall."""
        return 0.02 + of_left * left(time) - of_wall * wall(time)

    densities = (
        0.10,  # right wall
        lambda time: -0.22 + of_right * right(time),
        lambda time: -0.18 + of_wall * wall(time),  # left wall
        over_wall,
        lambda time: -over_wall(time),  # papillary muscles
    )
    still = [*chest(), *beating_heart(_between_beats, densities)]
    still += [
        still_ellipse(lambda time: -DEFECT * of_wall * wall(time), (0.085, 0.125), (0.012, 0.034), 0.78),
        still_ellipse(lambda time: -0.35 + of_aorta * aorta(time), (0.17, 0.03), (0.024, 0.024)),
    ]
    return shifted(still, lambda time: BREATH * np.sin(2 * np.pi * BREATHS * time))


def gamma_variate(arrival: float, peak: float, sharpness: float = 3.0) -> Varying:
    """A bolus that passes: 0 until it arrives, 1 at its peak."""

    def passing(time: np.ndarray) -> np.ndarray:
        since = np.maximum((time - arrival) / (peak - arrival), 0)
        return (since * np.exp(1 - since)) ** sharpness

    return passing


def _between_beats(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every frame is measured while the heart is filled and still."""
    return np.zeros(len(time)), np.zeros(len(time))
