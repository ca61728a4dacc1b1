"""Scans of random scenes, each of its own kind: what a network can be trained with where there are no others.

Size, coils, noise, phase, sampling and what happens are drawn from the numbers of the seed and of the scene alone; what
is the same in all scenes changes nothing of the rest.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Complex

from dainr.errors import BadRequest
from dainr.scan import Scan
from dainr.simulate.bolus import gamma_variate
from dainr.simulate.sampling import LINES, cartesian
from dainr.simulate.scenes import Course, draw_scene
from dainr.simulate.simulate import STACK, SimulationConfig, simulate_cine

SIDES = range(80, 129, 8)  # pixels
FRAMES, COILS = range(10, 17), range(4, 9)
SPOKES = (3, 4, 5, 6, 8, 10, 13)
ACCELERATIONS = 3.0, 9.0
CALIBRATIONS = (0, 0, 4, 6, 8, 12)  # lines
LINES_BESIDE = 6  # of variable density, at least, beside those
SNRS = 15.0, 80.0
TURN = 1.5  # rad: standard deviation of each term of the phase over half a field of view


@dataclass(frozen=True)
class SceneConfig:
    """What all scenes share; None is drawn for each. With spokes or acceleration alone, all have spokes, or lines."""

    pattern: str | None = None
    spokes: int | None = None
    acceleration: float | None = None
    calibration: int | None = None
    coils: int | None = None
    snr: float | None = None
    frames: int | None = None
    matrix: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        SimulationConfig(**self.given)  # raises for what is out of range
        if self.pattern == STACK:
            raise BadRequest(f"--pattern {STACK}", "a scene has one slice", "choose another pattern")
        if self.spokes is not None and self.pattern in LINES:
            raise BadRequest("--spokes", f"pattern {self.pattern} has lines", "give --acceleration instead")
        of_lines = {"--acceleration": self.acceleration, "--calibration": self.calibration}
        for option, value in of_lines.items():
            if value is not None and not self.kinds[1]:
                raise BadRequest(option, "it is of lines, and all scenes have spokes", "leave it out")
        if self.kinds[1]:
            self._check_lines()

    @property
    def given(self) -> dict[str, Any]:
        """What all scenes share, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def kinds(self) -> tuple[bool, bool]:
        """Whether there may be scenes measured by spokes, and by lines."""
        if self.pattern is not None:
            return self.pattern not in LINES, self.pattern in LINES
        of_lines = self.acceleration is not None
        return self.spokes is not None or not of_lines, of_lines or self.spokes is None

    def _check_lines(self) -> None:
        """Every scene must be able to have the lines asked for. Raises BadRequest."""
        ny, n_centre = self.matrix or min(SIDES), self.calibration or 0
        if n_centre >= ny:
            raise BadRequest(f"--calibration {n_centre}", f"some scenes have {ny} lines in all", "choose fewer")
        if self.acceleration is not None:
            for pattern in LINES if self.pattern is None else (self.pattern,):
                cartesian(1, self.acceleration, (ny, 1), pattern, np.random.default_rng(0), n_centre)


def simulate_scene(number: int, config: SceneConfig = SceneConfig()) -> Scan:
    """Scan number `number` of the seed, with its reference."""
    of_protocol, of_course, of_scene = (np.random.default_rng([config.seed, number, part]) for part in range(3))
    protocol, matrix = _draw_protocol(config, of_protocol)
    course, seconds = _draw_course(protocol.frames, of_course)
    series = draw_scene(protocol.frames, max(matrix), of_scene, course) * _draw_phase(max(matrix), of_course)
    rows, columns = (slice((max(matrix) - n) // 2, (max(matrix) - n) // 2 + n) for n in matrix)
    scan = simulate_cine(series[:, rows, columns], protocol)
    return scan.changed(
        times=seconds * scan.times,
        phase=scan.phase if course.is_one_cycle else None,
        cyclic=course.is_one_cycle,
        name=f"scene {number}",
    )


def _draw_protocol(config: SceneConfig, random: np.random.Generator) -> tuple[SimulationConfig, tuple[int, int]]:
    """How a scene is measured, and its matrix (y, x)."""
    ny, nx = (config.matrix or int(n) for n in random.choice(SIDES, 2))
    may_have_spokes, may_have_lines = config.kinds
    has_spokes = may_have_spokes and (random.uniform() < 0.5 or not may_have_lines)
    lines = str(random.choice(LINES))
    drawn: dict[str, Any] = {
        "pattern": "radial" if has_spokes else lines,
        "spokes": int(random.choice(SPOKES)),
        "acceleration": float(random.uniform(*ACCELERATIONS)),
        "calibration": int(random.choice(CALIBRATIONS)),
        "coils": int(random.choice(COILS)),
        "snr": float(np.exp(random.uniform(*np.log(SNRS)))),
        "frames": int(random.choice(FRAMES)),
        "seed": int(random.integers(2**62)),
    }
    protocol = drawn | config.given | {"seed": drawn["seed"], "matrix": max(ny, nx)}
    if protocol["pattern"] == "vista":  # its calibration lines are among those that the acceleration leaves
        if config.acceleration is None:
            protocol["acceleration"] = min(protocol["acceleration"], ny / (protocol["calibration"] + LINES_BESIDE))
        elif config.calibration is None:
            protocol["calibration"] = min(protocol["calibration"], round(ny / config.acceleration) // 2)
    return SimulationConfig(**protocol), (ny, nx)


def _draw_course(n_frames: int, random: np.random.Generator) -> tuple[Course, float]:
    """What happens in a scene, and for how many seconds: half of the scenes are one heartbeat."""
    time = (np.arange(n_frames) + 0.5) / n_frames
    kind, beats = random.uniform(), int(random.integers(1, 3))
    turn, breaths, depth = random.uniform(0, 2 * np.pi), random.uniform(0.4, 1.0), random.uniform(0.01, 0.04)
    breath = depth * np.sin(2 * np.pi * breaths * time + turn)
    arrival, width = random.uniform(0.0, 0.4), random.uniform(0.15, 0.5)
    contrast = gamma_variate(arrival, arrival + width)(time)
    if kind < 0.5:
        return Course(), 1.0
    if kind < 0.75:
        return Course(beats, breath), float(beats)
    return Course(0, 0.3 * breath, contrast), 1.0 * n_frames  # triggered: all at the same phase of the heartbeat


def _draw_phase(n: int, random: np.random.Generator) -> Complex[np.ndarray, "n n"]:
    """A smooth phase of second order."""
    y, x = np.meshgrid(*[np.arange(n) / n - 0.5] * 2, indexing="ij")
    terms = np.stack([np.ones_like(y), 2 * y, 2 * x, 4 * y**2, 4 * x**2, 4 * y * x])
    return np.exp(1j * np.tensordot(TURN * random.standard_normal(len(terms)), terms, axes=1))
