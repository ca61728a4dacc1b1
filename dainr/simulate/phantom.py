"""A beating thorax of ellipses whose Fourier transform is known in closed form: no pixels, hence no inverse crime.

An ellipse with semi-axes a, b, centre c and density rho has the transform

    F(k) = rho a b J1(2 pi q) / q * exp(-2 pi i k . c),   q = |(a k'_1, b k'_2)|, k' rotated into its axes

(Van de Walle et al., IEEE TMI 2000;19:1160). Lengths are fractions of the field of view, time is the cardiac phase.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex, Float
from scipy.special import j1

SUPERSAMPLING = 4


@dataclass(frozen=True)
class Ellipse:
    """Density, centre (y, x), semi-axes (y, x) and rotation (rad); centre and axes each a function of the phase."""

    density: float
    centre: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    axes: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    angle: float = 0.0


def contraction(phase: np.ndarray) -> np.ndarray:
    """0 at end diastole, 1 at end systole (a third into the cycle), smooth and periodic."""
    phase = np.asarray(phase, np.float64) % 1.0
    warped = phase + (1 - np.cos(2 * np.pi * phase)) / 9  # 1/2 at phase 1/3
    return 0.5 * (1 - np.cos(2 * np.pi * warped))


def beating_thorax() -> list[Ellipse]:
    """Chest wall, lungs, liver, spine, a left ventricle with papillary muscles, and a right ventricle."""
    heart_y, heart_x = 0.02, 0.06
    still = [
        still_ellipse(0.85, (0.0, 0.0), (0.40, 0.455)),  # subcutaneous fat
        still_ellipse(-0.50, (0.0, 0.0), (0.37, 0.425)),  # muscle inside it
        still_ellipse(-0.27, (-0.03, -0.27), (0.25, 0.10), 0.12),  # lungs
        still_ellipse(-0.27, (-0.03, 0.30), (0.22, 0.075), -0.12),
        still_ellipse(0.18, (0.24, -0.17), (0.10, 0.17), -0.2),  # liver
        still_ellipse(0.25, (0.27, 0.10), (0.055, 0.055)),  # spine
        still_ellipse(-0.20, (0.27, 0.10), (0.022, 0.022)),
        still_ellipse(0.45, (0.17, 0.03), (0.024, 0.024)),  # descending aorta
        *(still_ellipse(0.40, (-0.30, -0.12 + 0.03 * i), (0.014 - 0.0025 * i, 0.009 - 0.0015 * i)) for i in range(5)),
    ]

    def moved(dy: float, dx: float, pull: float) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """A point of the heart, drawn towards its centre as it contracts, with a slight sideways swing."""

        def centre(phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            c = contraction(phase)
            swing = 0.006 * np.sin(2 * np.pi * phase)
            return heart_y + dy * (1 - pull * c) + swing, heart_x + dx * (1 - pull * c) - 0.5 * swing

        return centre

    def shrinking(ay: float, ax: float, by: float) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        return lambda phase: (ay * (1 - by * contraction(phase)), ax * (1 - by * contraction(phase)))

    heart = [
        Ellipse(0.12, moved(-0.005, -0.158, 0.04), shrinking(0.098, 0.058, 0.05), -0.25),  # right ventricular wall
        Ellipse(0.36, moved(-0.005, -0.158, 0.04), shrinking(0.088, 0.049, 0.30), -0.25),  # right ventricular blood
        Ellipse(-0.24, moved(0.0, 0.0, 0.0), shrinking(0.108, 0.104, 0.05)),  # left ventricular wall over it
        Ellipse(0.52, moved(0.0, 0.0, 0.0), shrinking(0.078, 0.074, 0.36)),  # left ventricular blood
        Ellipse(-0.42, moved(0.038, 0.026, 0.45), shrinking(0.015, 0.012, -0.15)),  # papillary muscles
        Ellipse(-0.42, moved(-0.026, 0.040, 0.45), shrinking(0.012, 0.015, -0.15)),
    ]
    return [*still, *heart]


def ellipse_kspace(
    ellipses: list[Ellipse], k: Float[np.ndarray, "readout sample 2"], phase: Float[np.ndarray, " readout"]
) -> Complex[np.ndarray, "readout sample"]:
    """The transform at k (ky, kx), in cycles per field of view, each readout at its own phase."""
    total = np.zeros(k.shape[:2], np.complex128)
    for ellipse in ellipses:
        (cy, cx), (ay, ax) = ([v[:, None] for v in f(phase)] for f in (ellipse.centre, ellipse.axes))
        cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
        along_y, along_x = cos * k[..., 0] + sin * k[..., 1], cos * k[..., 1] - sin * k[..., 0]
        q = np.maximum(np.hypot(ay * along_y, ax * along_x), 1e-9)
        shift = np.exp(-2j * np.pi * (k[..., 0] * cy + k[..., 1] * cx))
        total += ellipse.density * ay * ax * j1(2 * np.pi * q) / q * shift
    return total


def ellipse_image(ellipses: list[Ellipse], matrix: tuple[int, int], phase: float) -> Float[np.ndarray, "y x"]:
    """The phantom averaged over each pixel; pixel n // 2 is the origin."""
    fine = [((np.arange(n * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - 0.5 - n // 2) / n for n in matrix]
    y, x = np.meshgrid(*fine, indexing="ij")
    image = np.zeros(y.shape)
    at = np.array([phase])
    for ellipse in ellipses:
        (cy, cx), (ay, ax) = ([float(v[0]) for v in f(at)] for f in (ellipse.centre, ellipse.axes))
        cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
        along_y, along_x = cos * (y - cy) + sin * (x - cx), cos * (x - cx) - sin * (y - cy)
        image += ellipse.density * ((along_y / ay) ** 2 + (along_x / ax) ** 2 <= 1)
    blocks = image.reshape(matrix[0], SUPERSAMPLING, matrix[1], SUPERSAMPLING)
    return blocks.mean((1, 3))


def still_ellipse(
    density: float, centre: tuple[float, float], axes: tuple[float, float], angle: float = 0.0
) -> Ellipse:
    """One that does not move: centre and half axes (y, x) in fields of view."""

    def constant(pair: tuple[float, float]) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
        return lambda phase: (np.full(len(phase), pair[0]), np.full(len(phase), pair[1]))

    return Ellipse(density, constant(centre), constant(axes), angle)
