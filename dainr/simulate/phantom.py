"""A beating thorax of ellipses whose Fourier transform is known in closed form: no pixels, hence no inverse crime.

An ellipse with semi-axes a, b, centre c and density rho has the transform

    F(k) = rho a b J1(2 pi q) / q * exp(-2 pi i k . c),   q = |(a k'_1, b k'_2)|, k' rotated into its axes

(Van de Walle et al., IEEE TMI 2000;19:1160). Lengths are fractions of the field of view,
times the share of the scan that has passed: of a single heartbeat, the cardiac phase.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Complex, Float
from scipy.special import j1

SUPERSAMPLING = 4
HEART_Y, HEART_X = 0.02, 0.06
HEART = (0.12, 0.36, -0.24, 0.52, -0.42)  # densities: right wall and blood, left wall and blood, papillary muscles
SWING = 0.006  # of the heart, along y

Varying = Callable[[np.ndarray], np.ndarray]  # a number at each time
Place = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # a pair (y, x) at each time
Heartbeat = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # contraction, 0 to 1, and sideways swing, at a time


@dataclass(frozen=True)
class Ellipse:
    """Density, centre (y, x), semi-axes (y, x) and rotation (rad); all but the last may change with time."""

    density: float | Varying
    centre: Place
    axes: Place
    angle: float = 0.0

    def density_at(self, time: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
        """The density at each time."""
        return self.density(time) if callable(self.density) else np.full(len(time), self.density)


def contraction(phase: np.ndarray) -> np.ndarray:
    """0 at end diastole, 1 at end systole (a third into the cycle), smooth and periodic."""
    phase = np.asarray(phase, np.float64) % 1.0
    warped = phase + (1 - np.cos(2 * np.pi * phase)) / 9  # 1/2 at phase 1/3
    return 0.5 * (1 - np.cos(2 * np.pi * warped))


def steady(beats: int = 1) -> Heartbeat:
    """So many heartbeats one after another, each like the others."""
    return lambda time: (contraction(beats * time), np.sin(2 * np.pi * beats * time))


def beating_thorax() -> list[Ellipse]:
    """A chest, and a heart that beats once."""
    return [*chest(), *beating_heart(steady())]


def chest() -> list[Ellipse]:
    """What does not beat: chest wall, lungs, liver, spine, aorta, and a row of small vessels."""
    return [
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


def beating_heart(beat: Heartbeat, densities: Sequence[float | Varying] = HEART) -> list[Ellipse]:
    """A left ventricle with papillary muscles, and a right ventricle; densities in the order of HEART."""

    def moved(dy: float, dx: float, pull: float) -> Place:
        """A point of the heart, drawn towards its centre as it contracts, with a slight sideways swing."""

        def centre(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            c, swing = beat(time)
            near = 1 - pull * c
            return HEART_Y + dy * near + SWING * swing, HEART_X + dx * near - 0.5 * SWING * swing

        return centre

    def shrinking(ay: float, ax: float, by: float) -> Place:
        def axes(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            left = 1 - by * beat(time)[0]
            return ay * left, ax * left

        return axes

    right_wall, right_blood, left_wall, left_blood, papillary = densities
    return [
        Ellipse(right_wall, moved(-0.005, -0.158, 0.04), shrinking(0.098, 0.058, 0.05), -0.25),
        Ellipse(right_blood, moved(-0.005, -0.158, 0.04), shrinking(0.088, 0.049, 0.30), -0.25),
        Ellipse(left_wall, moved(0.0, 0.0, 0.0), shrinking(0.108, 0.104, 0.05)),  # over the right ventricle
        Ellipse(left_blood, moved(0.0, 0.0, 0.0), shrinking(0.078, 0.074, 0.36)),
        Ellipse(papillary, moved(0.038, 0.026, 0.45), shrinking(0.015, 0.012, -0.15)),
        Ellipse(papillary, moved(-0.026, 0.040, 0.45), shrinking(0.012, 0.015, -0.15)),
    ]


def shifted(ellipses: Sequence[Ellipse], dy: Varying) -> list[Ellipse]:
    """The same ellipses, all carried along y."""

    def carried(centre: Place) -> Place:
        def at(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            y, x = centre(time)
            return y + dy(time), x

        return at

    return [replace(ellipse, centre=carried(ellipse.centre)) for ellipse in ellipses]


def ellipse_kspace(
    ellipses: list[Ellipse], k: Float[np.ndarray, "readout sample 2"], time: Float[np.ndarray, " readout"]
) -> Complex[np.ndarray, "readout sample"]:
    """The transform at k (ky, kx), in cycles per field of view, each readout at its own time."""
    total = np.zeros(k.shape[:2], np.complex128)
    for ellipse in ellipses:
        (cy, cx), (ay, ax) = ([v[:, None] for v in f(time)] for f in (ellipse.centre, ellipse.axes))
        cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
        along_y, along_x = cos * k[..., 0] + sin * k[..., 1], cos * k[..., 1] - sin * k[..., 0]
        q = np.maximum(np.hypot(ay * along_y, ax * along_x), 1e-9)
        shift = np.exp(-2j * np.pi * (k[..., 0] * cy + k[..., 1] * cx))
        total += ellipse.density_at(time)[:, None] * ay * ax * j1(2 * np.pi * q) / q * shift
    return total


def ellipse_image(ellipses: list[Ellipse], matrix: tuple[int, int], time: float) -> Float[np.ndarray, "y x"]:
    """The phantom averaged over each pixel; pixel n // 2 is the origin."""
    fine = [((np.arange(n * SUPERSAMPLING) + 0.5) / SUPERSAMPLING - 0.5 - n // 2) / n for n in matrix]
    y, x = np.meshgrid(*fine, indexing="ij")
    image = np.zeros(y.shape)
    at = np.array([time])
    for ellipse in ellipses:
        (cy, cx), (ay, ax) = ([float(v[0]) for v in f(at)] for f in (ellipse.centre, ellipse.axes))
        cos, sin = np.cos(ellipse.angle), np.sin(ellipse.angle)
        along_y, along_x = cos * (y - cy) + sin * (x - cx), cos * (x - cx) - sin * (y - cy)
        image += ellipse.density_at(at) * ((along_y / ay) ** 2 + (along_x / ax) ** 2 <= 1)
    blocks = image.reshape(matrix[0], SUPERSAMPLING, matrix[1], SUPERSAMPLING)
    return blocks.mean((1, 3))


def still_ellipse(
    density: float | Varying, centre: tuple[float, float], axes: tuple[float, float], angle: float = 0.0
) -> Ellipse:
    """One that does not move: centre and half axes (y, x) in fields of view."""

    def constant(pair: tuple[float, float]) -> Place:
        return lambda time: (np.full(len(time), pair[0]), np.full(len(time), pair[1]))

    return Ellipse(density, constant(centre), constant(axes), angle)
