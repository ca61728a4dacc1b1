"""Hyperpolarised nuclei: a few organs that light up without any background, and decay, each at its own rate."""

import numpy as np

from dainr.simulate.phantom import Ellipse, Varying, still_ellipse

RISE = 0.07  # of the scan, until the signal is there


def decaying_organs() -> list[Ellipse]:
    """Liver, spleen, kidneys, vena cava and bladder: from their brightest to the end they fall 12- to 50-fold."""
    return [
        still_ellipse(decaying(0.80, 3.0), (-0.22, -0.22), (0.12, 0.16), -0.3),  # liver
        still_ellipse(decaying(0.45, 3.4), (-0.22, 0.30), (0.10, 0.06), 0.4),  # spleen
        still_ellipse(decaying(1.00, 3.6), (0.10, -0.17), (0.085, 0.045), 0.25),  # kidneys
        still_ellipse(decaying(0.90, 3.3), (0.08, 0.19), (0.085, 0.045), -0.25),
        still_ellipse(decaying(1.00, 3.9), (0.02, -0.02), (0.022, 0.022)),  # vena cava
        still_ellipse(decaying(0.60, 2.5), (0.33, 0.02), (0.06, 0.08)),  # bladder
    ]


def decaying(density: float, rate: float) -> Varying:
    """A quick, smooth rise, and exp(-rate) of it left in the end."""

    def signal(time: np.ndarray) -> np.ndarray:
        risen = np.clip(time / RISE, 0, 1)
        return density * risen**2 * (3 - 2 * risen) * np.exp(-rate * np.maximum(time - RISE, 0) / (1 - RISE))

    return signal
