"""Gradient delays of radial scans, from where spokes intersect (RING: Rosenzweig et al., Magn Reson Med 2019;81:1898).

Delays move a spoke of direction n by S n, S a symmetric matrix of three numbers. Two spokes measure the same value
where they cross, at the samples i and j: i n_a + S n_a = j n_b + S n_b; many pairs give S by least squares.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from dainr.errors import BadRequest

PAIRS = 400
NEIGHBOURS = 3  # a spoke is paired with the next few, near it in time
CROSSING = 0.5  # least sine of the angle between the two
SEARCHED = 4  # samples to both sides of the nominal centre
USED = 32  # samples to both sides that are interpolated
FINER = 16  # steps a sample
WORTH, SURE = 0.1, 0.3  # samples: least delay that is corrected unasked, largest scatter at which it is believed

Interpolated = tuple[np.ndarray, np.ndarray]  # places along a spoke, and the samples of all coils there


@dataclass(frozen=True, eq=False)
class Delays:
    """S in samples, the shift it gives each spoke in the units of the trajectory, and how well the crossings agree."""

    matrix: Float[np.ndarray, "2 2"]
    shift: Float[np.ndarray, "readout 2"]
    scatter: float  # samples, median over the pairs

    @property
    def clear(self) -> bool:
        """Whether the delays are worth a correction, and surely there."""
        return bool(np.abs(self.matrix).max() > WORTH and self.scatter < SURE)


def estimate_delays(
    kspace: Complex[np.ndarray, "coil readout sample"], trajectory: Float[np.ndarray, "readout sample 2"]
) -> Delays:
    """The delays of the spokes of one slice.

    Raises BadRequest where readouts are no evenly sampled spokes, or too few of them cross.
    """
    steps = np.diff(trajectory.astype(np.float64), axis=1)
    step = np.linalg.norm(steps, axis=-1)
    if trajectory.shape[1] < 4 * SEARCHED or np.ptp(step) > 0.05 * step.mean():
        raise BadRequest("delays=estimate", "the readouts are no evenly sampled spokes", "leave it out")
    direction = steps.mean(1) / step.mean()
    centre = -(trajectory[:, 0] * direction).sum(1) / step.mean()  # the sample of k = 0, a fraction
    a, b = _pairs(direction)
    if len(a) < 3:
        raise BadRequest("delays=estimate", "too few spokes cross", "leave it out")
    near = {spoke: _around_centre(kspace[:, spoke], centre[spoke]) for spoke in np.union1d(a, b).tolist()}
    place = np.array([_crossing(near[i], near[j]) for i, j in zip(a.tolist(), b.tolist(), strict=True)])
    difference = direction[a] - direction[b]  # S (n_a - n_b) = j n_b - i n_a
    target = place[:, 1:] * direction[b] - place[:, :1] * direction[a]
    rows = np.zeros((len(a), 2, 3))
    rows[:, 0, 0], rows[:, 1, 1] = difference[:, 0], difference[:, 1]
    rows[:, 0, 2], rows[:, 1, 2] = difference[:, 1], difference[:, 0]
    found, scatter = _robust(rows, target)
    delays = np.array([[found[0], found[2]], [found[2], found[1]]])
    return Delays(delays, step.mean() * direction @ delays, scatter)


def _pairs(direction: Float[np.ndarray, "readout 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Spokes that cross steeply and are near in time, some hundred pairs spread over the scan."""
    first = np.arange(len(direction))
    a = np.concatenate([first[:-n] for n in range(1, NEIGHBOURS + 1)])
    b = np.concatenate([first[n:] for n in range(1, NEIGHBOURS + 1)])
    sine = np.abs(direction[a, 0] * direction[b, 1] - direction[a, 1] * direction[b, 0])
    a, b = a[sine > CROSSING], b[sine > CROSSING]
    chosen = np.linspace(0, len(a) - 1, min(PAIRS, len(a))).round().astype(int)
    return a[chosen], b[chosen]


def _crossing(a: Interpolated, b: Interpolated) -> tuple[float, float]:
    """Where two spokes agree best, over all coils, in samples from the nominal centre of each."""
    (place_a, one), (place_b, other) = a, b
    energy = (np.abs(one) ** 2).sum(0)[:, None] + (np.abs(other) ** 2).sum(0)[None]
    apart = 1 - 2 * (one.conj().T @ other).real / np.maximum(energy, np.finfo(float).tiny)
    i, j = np.unravel_index(np.argmin(apart), apart.shape)
    return float(place_a[i]), float(place_b[j])


def _around_centre(
    spoke: Complex[np.ndarray, "coil sample"], centre: float
) -> tuple[Float[np.ndarray, " place"], Complex[np.ndarray, "coil place"]]:
    """A spoke near its centre, interpolated by its Fourier series; places are samples from there."""
    first = max(round(centre) - USED, 0)
    part = spoke[:, first : round(centre) + USED]
    sample = np.arange(part.shape[1] * FINER) / FINER
    near = np.abs(sample + first - centre) <= SEARCHED
    waves = np.exp(2j * np.pi * np.outer(np.fft.fftfreq(part.shape[1]), sample[near])) / part.shape[1]
    return sample[near] + first - centre, np.fft.fft(part, axis=1) @ waves


def _robust(
    rows: Float[np.ndarray, "pair 2 3"], target: Float[np.ndarray, "pair 2"]
) -> tuple[Float[np.ndarray, "3"], float]:
    """Least squares, twice: pairs far from the first solution are left out of the second. Median distance, too."""
    kept = np.ones(len(rows), bool)
    for _ in range(2):
        found = np.linalg.lstsq(rows[kept].reshape(-1, 3), target[kept].reshape(-1), rcond=None)[0]
        missed = np.linalg.norm(rows @ found - target, axis=1)
        kept = missed <= 3 * max(float(np.median(missed)), 1 / FINER)
    return found, float(np.median(missed))
