"""Phases of spokes by their direction: gradients that are switched turn the main field a little, by eddy currents.

A spoke of direction n is turned by p . n rad, p two numbers (Moussavi et al., Magn Reson Med 2014;71:308). Spokes that
point the other way are turned back, so that the turns are no phase of the image; where two spokes cross, their phases
show it.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

ROUNDS = 8
WORTH, SURE = 0.1, 4  # rad: least turn that is corrected; how many times its standard error it is then
LEFT = 0.6  # of the median phase between crossing spokes: the turns must leave no more
TINY = np.finfo(float).tiny


@dataclass(frozen=True, eq=False)
class Turns:
    """p in rad (y, x), its standard error, and median phases between crossing spokes before and after."""

    by_direction: Float[np.ndarray, "2"]
    error: float
    before: float
    after: float

    @property
    def clear(self) -> bool:
        """Whether the turns are worth a correction, surely there, and what the phases between spokes are."""
        largest = np.abs(self.by_direction).max()
        return bool(largest > max(WORTH, SURE * self.error) and self.after < LEFT * self.before)


def estimate_turns(product: Complex[np.ndarray, " pair"], apart: Float[np.ndarray, "pair 2"]) -> Turns:
    """From pairs of crossing spokes: the first's values times the conjugate second's, and n of the first less that of
    the second. Least squares in a few rounds, pairs far from the fit weighing less.
    """
    found, rest = np.zeros(2), np.angle(product)
    before = float(np.median(np.abs(rest)))
    for _ in range(ROUNDS):
        weight = 1 / (1 + (rest / max(float(np.median(np.abs(rest))), 1e-6)) ** 2)
        inverse = np.linalg.pinv((apart * weight[:, None]).T @ apart)
        each = apart * (weight * rest)[:, None]
        found = found + inverse @ each.sum(0)
        rest = np.angle(product * np.exp(-1j * apart @ found))
    each = apart * (weight * rest)[:, None]
    spread = inverse @ (each.T @ each) @ inverse
    return Turns(found, float(np.sqrt(spread.diagonal().max())), before, float(np.median(np.abs(rest))))
