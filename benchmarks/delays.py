"""How well gradient delays are found: phantoms whose delays are known, of both signs, and none.

    python -m benchmarks.delays [-o delays.md]

Orders and numbers of spokes, coils, noise, oversampling, beating and still, and phases of the spokes. A figure is the
largest error of the three numbers over several delays.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

import numpy as np

from benchmarks.common import Report, add_common, heading, table
from dainr.errors import BadRequest
from dainr.prepare.delays import estimate_delays
from dainr.simulate.coils import coil_coefficients, coil_maps, harmonics
from dainr.simulate.phantom import beating_thorax, ellipse_image, ellipse_kspace
from dainr.simulate.sampling import GOLDEN_ANGLE

MATRIX = 64
SHORTER = 0.95  # spokes, so that delayed ones stay within k-space
ORDERS = ("golden", "half turn", "full turn", "alternating")
DELAYS = (  # samples, (y, x)
    ((0.0, 0.0), (0.0, 0.0)),
    ((0.6, 0.1), (0.1, 0.3)),
    ((-0.5, -0.15), (-0.15, -0.2)),
    ((0.6, 0.1), (0.1, -0.3)),
    ((-0.16, 0.0), (0.0, -0.1)),
    ((1.6, -0.2), (-0.2, 1.3)),
)
SIGNAL_PERCENTILE = 99.0


@dataclass(frozen=True)
class Case:
    """A way to measure the phantom.

    `phases`: every spoke is turned by a phase of its own, of this deviation (rad); `turn`: and by one that goes as its
    direction's y (rad).
    """

    order: str = "golden"
    spokes: int = 69
    oversampling: int = 2
    coils: int = 8
    snr: float = 50.0
    beating: bool = False
    phases: float = 0.0
    turn: float = 0.0

    @property
    def angles(self) -> np.ndarray:
        """Of the spokes, rad."""
        index = np.arange(self.spokes)
        return {
            "golden": index * GOLDEN_ANGLE,
            "half turn": index * np.pi / self.spokes,
            "full turn": index * 2 * np.pi / self.spokes,
            "alternating": index * np.pi / self.spokes + np.pi * (index % 2),
        }[self.order]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each way to measure, a column for each order."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of the noise")
    add_common(parser)
    asked = parser.parse_args(arguments)
    report = Report(asked.output)
    report.add(heading("Gradient delays", "delays", arguments, asked.device))
    report.add(
        "Largest error without delays / with, in samples; in brackets: tries where `auto` does what it should not."
    )
    rows = [[words(c), *(score(replace(c, order=order), asked.seeds) for order in ORDERS)] for c in cases()]
    report.add(table(("spokes", *ORDERS), rows))


def cases() -> list[Case]:
    """Ever more spokes, then one thing changed at a time."""
    usual = Case()
    several = [replace(usual, spokes=spokes) for spokes in (13, 25, 69, 208)]
    several += [replace(usual, coils=1), replace(usual, coils=16), replace(usual, oversampling=1)]
    several += [replace(usual, snr=15), replace(usual, snr=100), replace(usual, phases=0.5), replace(usual, turn=0.4)]
    several += [replace(usual, beating=True), replace(usual, spokes=208, beating=True)]
    return [*several, replace(usual, spokes=13, snr=15, beating=True)]


def words(case: Case) -> str:
    """A case in a few words: what differs from the usual one."""
    usual, told = Case(), f"{case.spokes}"
    told += "" if case.coils == usual.coils else f", {case.coils} coil{'s' if case.coils > 1 else ''}"
    told += "" if case.oversampling == usual.oversampling else ", not oversampled"
    told += "" if case.snr == usual.snr else f", SNR {case.snr:g}"
    told += ", beating" if case.beating else ""
    told += ", each with a phase" if case.phases else ""
    return told + (", phases by direction" if case.turn else "")


def score(case: Case, seeds: int) -> str:
    """Largest errors over the seeds, without delays and with, and how often `auto` is wrong."""
    errors: dict[bool, list[float]] = {False: [], True: []}
    wrong = 0
    for delays, seed in product(DELAYS, range(seeds)):
        there = bool(np.any(delays))
        try:
            found = estimate_delays(*measure(case, delays, seed))
        except BadRequest:
            errors[there].append(np.inf)
            wrong += there
            continue
        errors[there].append(float(np.abs(found.matrix - np.array(delays)).max()))
        wrong += found.clear != there or (case.coils > 1 and found.turned != (case.turn > 0))
    told = " / ".join(f"{max(values):.3f}" for values in errors.values())
    return told + (f" ({wrong} of {seeds * len(DELAYS)})" if wrong else "")


def measure(
    case: Case, delays: tuple[tuple[float, float], tuple[float, float]], seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """K-space `coil readout sample` of a delayed phantom, and the trajectory that is told."""
    random = np.random.default_rng(seed)
    told, terms = _terms(replace(case, coils=0, snr=0, phases=0, turn=0), delays)
    coefficients = coil_coefficients(case.coils, np.random.default_rng(0))
    kspace = np.tensordot(coefficients, terms, axes=1) * MATRIX
    kspace *= np.exp(1j * case.phases * random.standard_normal(case.spokes))[:, None]
    kspace *= np.exp(1j * case.turn * np.sin(case.angles))[:, None]
    image = ellipse_image(beating_thorax(), (MATRIX, MATRIX), 0.0)
    bright = image * np.sqrt((np.abs(coil_maps(coefficients, (MATRIX, MATRIX))) ** 2).sum(0))
    sigma = float(np.percentile(bright, SIGNAL_PERCENTILE)) / case.snr
    noise = random.standard_normal(kspace.shape) + 1j * random.standard_normal(kspace.shape)
    return (kspace + sigma / np.sqrt(2) * noise).astype(np.complex64), told.astype(np.float32)


@cache
def _terms(case: Case, delays: tuple[tuple[float, float], ...]) -> tuple[np.ndarray, np.ndarray]:
    """The trajectory that is told, and what the phantom is under each harmonic of the coil maps."""
    samples = case.oversampling * MATRIX
    step = SHORTER / samples  # cycles per pixel
    direction = np.stack([np.sin(case.angles), np.cos(case.angles)], -1)
    told = step * (np.arange(samples) - samples // 2)[None, :, None] * direction[:, None]
    true = told + step * (direction @ np.array(delays))[:, None]
    phase = (np.arange(case.spokes) + 0.5) / case.spokes if case.beating else np.zeros(case.spokes)
    ellipses = beating_thorax()
    return told, np.stack([ellipse_kspace(ellipses, true * MATRIX - shift, phase) for shift in harmonics()])


if __name__ == "__main__":
    main()
