"""Dead leaves that beat: overlapping textured shapes, some in the form of a ventricle, carried by a contraction.

The dead leaves model (Lee, Mumford & Huang, IJCV 2001;41:35) has the edges, sizes and occlusions of natural images; a
smooth motion field pulls a random place together once a cycle, twists it and lets it swing. A breath may carry what
lies within the body, and contrast may arrive in some of the leaves.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from dainr.simulate.phantom import contraction

SUPERSAMPLING = 2
LARGEST, SMALLEST = 0.25, 0.02  # radius of a leaf, in fields of view


@dataclass(frozen=True, eq=False)
class Course:
    """What happens in a scene: so many heartbeats, and in each frame of a breath or of contrast."""

    beats: int = 1
    breath: Float[np.ndarray, " frame"] | None = None  # how far it has carried the organs along y, in fields of view
    contrast: Float[np.ndarray, " frame"] | None = None  # 0 before it arrives, 1 at its peak

    @property
    def is_one_cycle(self) -> bool:
        """Whether the last frame is followed by the first: a single heartbeat and nothing else."""
        return self.beats == 1 and self.breath is None and self.contrast is None


@dataclass(frozen=True, eq=False)
class Motion:
    """Where the tissue seen at each pixel of each frame lies at rest (`frame y x`), and how contracted the frame is."""

    y: Float[np.ndarray, "frame y x"]
    x: Float[np.ndarray, "frame y x"]
    beat: Float[np.ndarray, "frame 1 1"]
    heart: tuple[float, float]
    radius: float
    contrast: Float[np.ndarray, "frame 1 1"] | None


def draw_scene(
    n_frames: int, n: int, random: np.random.Generator, course: Course = Course()
) -> Float[np.ndarray, "frame n n"]:
    """A random scene, averaged over each pixel: one heartbeat, or the course given; its bright parts are near one."""
    axis = (np.arange(n * SUPERSAMPLING) + 0.5) / (n * SUPERSAMPLING) - 0.5
    y, x = np.meshgrid(axis, axis, indexing="ij")
    motion = _draw_motion(n_frames, y, x, random, course)
    series = np.zeros_like(motion.y)
    body = np.hypot(*(p / half for p, half in zip((y, x), random.uniform(0.33, 0.5, 2), strict=True)))
    if random.uniform() < 0.85:  # a rim of fat around a body
        series[:, body < 1] = random.uniform(0.3, 1.0)
        series[:, body < random.uniform(0.84, 0.97)] = random.uniform(0.1, 0.6)
    else:
        series += random.uniform(0, 0.6)
    n_leaves = random.integers(40, 90)
    ventricle_at = random.integers(n_leaves // 2, n_leaves) if random.uniform() < 0.6 else -1
    for leaf in range(n_leaves):
        if leaf == ventricle_at:
            _paint_ventricle(series, motion, random)
        _paint_leaf(series, motion, random)
    series *= 1 + random.uniform(0, 0.15) * _tissue(motion, random)
    if random.uniform() < 0.85:
        series[:, body > 1.01] = 0
    blur = SUPERSAMPLING * random.uniform(0, 0.8)
    series = ndimage.gaussian_filter(series, (0, blur, blur))
    averaged = series.reshape(n_frames, n, SUPERSAMPLING, n, SUPERSAMPLING).mean((2, 4))
    return (np.clip(averaged, 0, None) / max(np.percentile(averaged, 99.5), 1e-3)).astype(np.float32)


def _draw_motion(n_frames: int, y: np.ndarray, x: np.ndarray, random: np.random.Generator, course: Course) -> Motion:
    phase = course.beats * (np.arange(n_frames) + 0.5) / n_frames + random.uniform()
    beat = contraction(phase)[:, None, None]
    heart = random.uniform(-0.12, 0.12, 2)
    radius, pull, twist = random.uniform(0.1, 0.22), random.uniform(0.1, 0.5), random.uniform(-0.3, 0.3)
    if course.breath is not None:  # it fades out towards the edges
        y = y - course.breath[:, None, None] * np.exp(-((np.hypot(y, x) / 0.4) ** 6))
    dy, dx = y - heart[0], x - heart[1]
    distance = np.hypot(dy, dx) / radius
    near, around = np.exp(-(distance**2) / 2), np.exp(-((distance / 2) ** 4))
    swing = random.uniform(-0.012, 0.012, (2, 2)) @ np.stack([np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)])
    sway_y, sway_x = swing[:, :, None, None] * around
    grow, turn = 1 + pull * beat * near, twist * beat * near
    return Motion(
        y=heart[0] + grow * (dy - turn * dx) + sway_y,
        x=heart[1] + grow * (dx + turn * dy) + sway_x,
        beat=beat,
        heart=(float(heart[0]), float(heart[1])),
        radius=float(radius),
        contrast=None if course.contrast is None else course.contrast[:, None, None],
    )


def _paint_leaf(series: np.ndarray, motion: Motion, random: np.random.Generator) -> None:
    size = SMALLEST * (1 - random.uniform() * (1 - (SMALLEST / LARGEST) ** 2)) ** -0.5  # density ~ size^-3
    if random.uniform() < 0.35:
        centre, size = motion.heart + random.normal(size=2) * motion.radius * 0.7, 0.7 * size
    else:
        centre = random.uniform(-0.45, 0.45, 2)
    value = random.uniform() ** random.choice([0.5, 1, 2])
    _paint(series, motion, (float(centre[0]), float(centre[1])), size, value, random)


def _paint_ventricle(series: np.ndarray, motion: Motion, random: np.random.Generator) -> None:
    """A wall around blood with a few papillary muscles, contrast either way round."""
    centre = motion.heart + random.normal(size=2) * 0.15 * motion.radius
    outer = motion.radius * random.uniform(0.5, 0.9)
    inner = outer * random.uniform(0.5, 0.85)
    wall, blood = random.uniform(0.05, 0.5), random.uniform(0.4, 1.0)
    if random.uniform() < 0.2:
        wall, blood = blood, wall
    _paint(series, motion, (float(centre[0]), float(centre[1])), outer, wall, random)
    _paint(series, motion, (float(centre[0]), float(centre[1])), inner, blood, random)
    for _ in range(random.integers(0, 4)):
        at = centre + inner * random.uniform(0.3, 0.9) * np.array(_unit(random))
        _paint(series, motion, (float(at[0]), float(at[1])), inner * random.uniform(0.08, 0.3), wall, random)


def _paint(
    series: np.ndarray,
    motion: Motion,
    centre: tuple[float, float],
    size: float,
    value: float,
    random: np.random.Generator,
) -> None:
    """A lobed ellipse with texture over everything painted before; some change size or value with the beat."""
    aspect, angle = np.exp(0.35 * random.normal()), random.uniform(0, np.pi)
    lobes, depth, turn = random.integers(2, 6), random.uniform(0, 0.25), random.uniform(0, 2 * np.pi)
    growth = random.uniform(-0.5, 0.5) if random.uniform() < 0.25 else 0.0  # motion through the plane
    change = random.uniform(-0.3, 0.3) if random.uniform() < 0.15 else 0.0
    waves = random.normal(size=(4, 2)) * random.choice([15, 40, 80], (4, 1)), random.uniform(0, 2 * np.pi, 4)
    strength = random.uniform(0.01, 0.08) if random.uniform() < 0.6 else 0.0
    enhanced = value + _draw_uptake(motion, value, random)
    reach = 2.6 * size * max(aspect, 1 / aspect)
    rows = np.flatnonzero((np.abs(motion.y - centre[0]) < reach).any((0, 2)))
    columns = np.flatnonzero((np.abs(motion.x - centre[1]) < reach).any((0, 1)))
    if not len(rows) or not len(columns):
        return
    part = np.s_[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    u, v = motion.y[part] - centre[0], motion.x[part] - centre[1]
    along = (np.cos(angle) * u + np.sin(angle) * v) / (aspect * size)
    across = (np.cos(angle) * v - np.sin(angle) * u) * aspect / size
    rim = (1 + growth * motion.beat) * (1 + depth * np.cos(lobes * np.arctan2(across, along) + turn))
    texture = sum(np.cos(2 * np.pi * (k[0] * u + k[1] * v) + shift) for k, shift in zip(*waves, strict=True))
    leaf = np.clip(enhanced * (1 + change * motion.beat) + strength * texture, 0, 1.2)
    series[part] = np.where(np.hypot(along, across) < rim, leaf, series[part])


def _draw_uptake(motion: Motion, value: float, random: np.random.Generator) -> np.ndarray | float:
    """How much brighter contrast makes a leaf: some not at all, others each as much and as late as it comes."""
    if motion.contrast is None or random.uniform() < 0.6:
        return 0.0
    late = int(random.integers(0, 1 + len(motion.contrast) // 3))
    delayed = np.concatenate([np.repeat(motion.contrast[:1], late, 0), motion.contrast])[: len(motion.contrast)]
    return random.uniform(0.2, 1.0) * (1.2 - value) * delayed


def _tissue(motion: Motion, random: np.random.Generator) -> Float[np.ndarray, "frame y x"]:
    """Noise of a 1/f spectrum that moves with the tissue, of unit variance."""
    n = motion.y.shape[1]
    frequency = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n))
    spectrum = np.fft.rfft2(random.normal(size=(n, n))) / np.maximum(frequency, 2 / n) ** random.uniform(0.5, 1.5)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, (n, n))
    places = [(0.5 + q) * n - 0.5 for q in (motion.y, motion.x)]
    return ndimage.map_coordinates(field / field.std(), places, order=1, mode="grid-wrap")


def _unit(random: np.random.Generator) -> tuple[float, float]:
    angle = random.uniform(0, 2 * np.pi)
    return float(np.cos(angle)), float(np.sin(angle))
