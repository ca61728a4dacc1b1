"""Gradient delays of radial scans, from where spokes intersect (RING: Rosenzweig et al., Magn Reson Med 2019;81:1898).

Delays move a spoke of direction n by S n, S a symmetric matrix of three numbers. Two spokes measure the same value
where they cross, at the samples i and j: i n_a + S n_a = j n_b + S n_b. So S tells where every pair crosses, and that S
is found with which all pairs agree best there: on a coarse grid first, then by Gauss-Newton steps. Spokes are compared
up to a phase, for theirs may differ; those of a single coil as they are, for there is nothing else to compare.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float

from dainr.errors import BadRequest
from dainr.prepare.phases import Turns, estimate_turns

PAIRS, NEIGHBOURS = 1500, 8  # the most that are used, and of each spoke with later ones
CROSSING = 0.6  # least sine of the angle between the two
GRID = np.arange(-2, 2.1, 0.5)  # samples: where each number is looked for first
GRID_PAIRS, GRID_FINER = 300, 4  # pairs compared there, steps a sample
USED = 32  # samples to both sides of the nominal centre that are interpolated
STEPS, LONGEST = 40, 0.5  # of Gauss-Newton, and the longest, in samples
WORTH, SURE = 0.1, 4  # samples: least delay that is corrected unasked; how many times its standard error it is then
KNOWN = 0.05  # samples: the largest standard error with which phases are told from delays
AGREEING = 0.1  # share of the energy that may differ where two spokes cross, median over the pairs


@dataclass(frozen=True, eq=False)
class Delays:
    """S in samples, the shift it gives each spoke in the units of the trajectory, and how well the crossings agree."""

    matrix: Float[np.ndarray, "2 2"]
    shift: Float[np.ndarray, "readout 2"]
    error: float  # samples: the largest standard error of the three numbers
    apart: float  # share of the energy that differs at the crossings, median over the pairs
    direction: Float[np.ndarray, "readout 2"]  # of the spokes, of unit length
    turns: Turns | None  # phases of the spokes; None of a single coil, whose delays look alike

    @property
    def clear(self) -> bool:
        """Whether the delays are worth a correction, and surely there."""
        return bool(np.abs(self.matrix).max() > max(WORTH, SURE * self.error) and self.apart < AGREEING)

    @property
    def turned(self) -> bool:
        """Whether the spokes are clearly turned by phases of their directions."""
        return bool(self.turns is not None and self.turns.clear and self.error < KNOWN and self.apart < AGREEING)


@dataclass(frozen=True, eq=False)
class _Crossings:
    """Pairs of spokes; `places` times (S_yy, S_xx, S_yx) are the two samples, from the centre, where they cross."""

    waves: Complex[np.ndarray, "coil readout wave"]  # Fourier series of the spokes near their centres
    frequency: Float[np.ndarray, " wave"]  # rad per sample
    pairs: np.ndarray  # pair, 2
    places: Float[np.ndarray, "pair 2 3"]


def estimate_delays(
    kspace: Complex[np.ndarray, "coil readout sample"], trajectory: Float[np.ndarray, "readout sample 2"]
) -> Delays:
    """The delays of the spokes of one slice.

    Raises BadRequest where readouts are no evenly sampled spokes, or too few of them cross.
    """
    steps = np.diff(trajectory.astype(np.float64), axis=1)
    step = np.linalg.norm(steps, axis=-1)
    if trajectory.shape[1] < 16 or np.ptp(step) > 0.05 * step.mean():
        raise BadRequest("delays=estimate", "the readouts are no evenly sampled spokes", "leave it out")
    direction = steps.mean(1) / step.mean()
    pairs = _pairs(direction)
    if len(pairs) < 3:
        raise BadRequest("delays=estimate", "too few spokes cross", "leave it out")
    centre = -(trajectory[:, 0] * direction).sum(1) / step.mean()  # the sample of k = 0, a fraction
    waves, frequency = _series(kspace, centre)
    crossings = _Crossings(waves, frequency, pairs, _places(direction, pairs))
    found, error, apart = _refined(crossings, _on_grid(crossings))
    delays = np.array([[found[0], found[2]], [found[2], found[1]]])
    turns = _turns(crossings, found, direction) if len(kspace) > 1 else None
    return Delays(delays, step.mean() * direction @ delays, error, apart, direction, turns)


def _pairs(direction: Float[np.ndarray, "readout 2"]) -> np.ndarray:
    """Spokes that cross steeply, each with the next few in time that do; some hundred pairs spread over the scan."""
    n, wanted = len(direction), np.full(len(direction), NEIGHBOURS)
    found = [np.empty((0, 2), int)]
    for later in range(1, n):
        a = np.arange(n - later)
        b = a + later
        sine = np.abs(direction[a, 0] * direction[b, 1] - direction[a, 1] * direction[b, 0])
        chosen = a[(sine > CROSSING) & (wanted[a] > 0)]
        wanted[chosen] -= 1
        found.append(np.stack([chosen, chosen + later], 1))
        if not wanted[: n - later - 1].any():
            break
    pairs = np.concatenate(found)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return pairs[np.linspace(0, len(pairs) - 1, min(PAIRS, len(pairs))).round().astype(int)]


def _places(direction: Float[np.ndarray, "readout 2"], pairs: np.ndarray) -> Float[np.ndarray, "pair 2 3"]:
    """Where pairs cross, by S: i n_a - j n_b = S (n_b - n_a)."""
    a, b = direction[pairs[:, 0]], direction[pairs[:, 1]]
    apart = b - a
    rows = np.zeros((len(pairs), 2, 3))
    rows[:, 0, 0], rows[:, 1, 1] = apart[:, 0], apart[:, 1]
    rows[:, 0, 2], rows[:, 1, 2] = apart[:, 1], apart[:, 0]
    return np.linalg.solve(np.stack([a, -b], -1), rows)


def _series(kspace: np.ndarray, centre: Float[np.ndarray, " readout"]) -> tuple[np.ndarray, np.ndarray]:
    """Spokes near their centres as Fourier series: at a place p from there, a sum of waves exp(i frequency p)."""
    width = min(2 * USED, kspace.shape[2])
    first = np.clip(np.rint(centre).astype(int) - width // 2, 0, kspace.shape[2] - width)
    part = np.take_along_axis(kspace, (first[:, None] + np.arange(width))[None], 2).astype(np.complex128)
    frequency = 2 * np.pi * np.fft.fftfreq(width)
    turn = np.exp(1j * np.outer(centre - first, frequency)) / width
    return np.fft.fft(part, axis=2) * turn, frequency


def _on_grid(crossings: _Crossings) -> Float[np.ndarray, "3"]:
    """The point of a coarse grid with which the pairs agree best."""
    grid = np.stack(np.meshgrid(GRID, GRID, GRID[np.abs(GRID) <= 1], indexing="ij"), -1).reshape(-1, 3)
    some = np.linspace(0, len(crossings.pairs) - 1, min(GRID_PAIRS, len(crossings.pairs))).round().astype(int)
    places, (a, b) = crossings.places[some], crossings.pairs[some].T
    reach = np.ceil(np.abs(places @ grid.T).max())
    fine = np.arange(-reach, reach + 1 / GRID_FINER, 1 / GRID_FINER)
    values = crossings.waves @ np.exp(1j * np.outer(crossings.frequency, fine))  # coil, readout, place
    apart = []
    for point in grid:
        at = np.rint((places @ point + reach) * GRID_FINER).astype(int)
        apart.append(_apart(values[:, a, at[:, 0]], values[:, b, at[:, 1]])[1].mean())
    return grid[int(np.argmin(apart))]


def _apart(one: np.ndarray, other: np.ndarray) -> tuple[Complex[np.ndarray, "coil pair"], Float[np.ndarray, " pair"]]:
    """How the two spokes of pairs differ: the second turned to the first's phase, and the share of energy between."""
    product = (other.conj() * one).sum(0)
    turned = other if len(one) == 1 else other * np.exp(1j * np.angle(product))
    energy = (np.abs(one) ** 2 + np.abs(other) ** 2).sum(0)
    return turned, (np.abs(one - turned) ** 2).sum(0) / np.maximum(energy, np.finfo(float).tiny)


def _refined(crossings: _Crossings, start: Float[np.ndarray, "3"]) -> tuple[np.ndarray, float, float]:
    """Gauss-Newton from there, pairs that disagree weighing less: S, its standard error, and how far pairs differ."""
    found = start
    for _ in range(STEPS):
        slopes, rest, apart = _linear(crossings, found)
        weight = 1 / (apart + np.median(apart) + np.finfo(float).tiny)
        normal = np.einsum("p,pri,prj->ij", weight, slopes, slopes)
        each = weight[:, None] * np.einsum("pri,pr->pi", slopes, rest)
        inverse = np.linalg.pinv(normal)
        step = -inverse @ each.sum(0)
        found = found + step * min(1, LONGEST / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-4:
            break
    of_spoke = np.zeros((crossings.waves.shape[1], 3))  # whose noise all its pairs share
    for side in (0, 1):
        np.add.at(of_spoke, crossings.pairs[:, side], each)
    spread = inverse @ (of_spoke.T @ of_spoke) @ inverse
    return found, float(np.sqrt(spread.diagonal().max())), float(np.median(apart))


def _linear(crossings: _Crossings, at: Float[np.ndarray, "3"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slopes by S `pair, part, 3` of what pairs differ by, that itself `pair, part`, and the share of energy."""
    places = crossings.places @ at
    (one, one_slope), (other, other_slope) = (
        _values(crossings, crossings.pairs[:, side], places[:, side]) for side in (0, 1)
    )
    turned, apart = _apart(one, other)
    turn = (turned * other.conj()).sum(0) / np.maximum((np.abs(other) ** 2).sum(0), np.finfo(float).tiny)
    scale = 1 / np.sqrt(np.maximum((np.abs(one) ** 2 + np.abs(other) ** 2).sum(0), np.finfo(float).tiny))
    slopes = one_slope[..., None] * crossings.places[:, 0] - (turn * other_slope)[..., None] * crossings.places[:, 1]
    rest, slopes = (one - turned) * scale, slopes * scale[:, None]
    if len(one) > 1:  # what a phase would do is no difference
        along = 1j * turned / np.maximum(np.linalg.norm(turned, axis=0), np.finfo(float).tiny)
        slopes = slopes - along[..., None] * (along.conj()[..., None] * slopes).sum(0).real
        rest = rest - along * (along.conj() * rest).sum(0).real
    slopes, rest = np.moveaxis(slopes, 0, 1), rest.T
    return np.concatenate([slopes.real, slopes.imag], 1), np.concatenate([rest.real, rest.imag], 1), apart


def _turns(crossings: _Crossings, at: Float[np.ndarray, "3"], direction: np.ndarray) -> Turns:
    """The phases of the spokes, from those at the crossings."""
    (a, b), places = crossings.pairs.T, crossings.places @ at
    one, other = _values(crossings, a, places[:, 0])[0], _values(crossings, b, places[:, 1])[0]
    return estimate_turns((other.conj() * one).sum(0), direction[a] - direction[b])


def _values(crossings: _Crossings, spoke: np.ndarray, place: Float[np.ndarray, " pair"]) -> tuple[np.ndarray, ...]:
    """Values `coil pair` of spokes at places, and their slopes along the spoke."""
    wave = np.exp(1j * np.outer(place, crossings.frequency))
    terms = crossings.waves[:, spoke]
    value = np.einsum("cpw,pw->cp", terms, wave)
    return value, np.einsum("cpw,pw->cp", terms, 1j * crossings.frequency * wave)
