"""Where spokes lie whose file stores no trajectory: their angles by a scheme, and samples along them.

    golden          n times 111.246 degrees, pi over the golden ratio       Winkelmann et al., IEEE TMI 2007;26:68
    tiny-golden:N   n times pi / (tau + N - 1), tau the golden ratio        Wundrak et al., Magn Reson Med 2016;75:2372
    linear          n times 180 degrees / spokes of a turn; linear:360 over the full circle

The first spoke lies along x, and angles turn from x to y, as in the program's own simulations.
"""

import math

import numpy as np
from jaxtyping import Float, Integer

GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
HALF_TURN = 180


def angle_step(scheme: str, spokes: int) -> float:
    """From one spoke to the next, rad; `spokes` are those of a whole set, where the scheme is linear."""
    name, _, number = scheme.partition(":")
    if name == "linear":
        return math.radians(float(number or HALF_TURN)) / spokes
    return math.pi / (GOLDEN_RATIO + int(number or 1) - 1)


def spokes(
    number: Integer[np.ndarray, " readout"], step: float, radius: Float[np.ndarray, "readout sample"]
) -> Float[np.ndarray, "readout sample 2"]:
    """The places (ky, kx) of samples at these radii along spokes of these numbers."""
    angle = number * step
    return radius[..., None] * np.stack([np.sin(angle), np.cos(angle)], -1)[:, None]
