"""Where a simulated scanner samples: golden-angle spokes and spirals, and lines, even or of variable density."""

import numpy as np
from jaxtyping import Float, Int

from dainr.errors import BadRequest

GOLDEN_ANGLE = np.pi * (np.sqrt(5) - 1) / 2  # rad: 111.246 degrees
READOUT_OVERSAMPLING = 2
SPIRALS = 24  # interleaves that sample all of k-space
SPIRAL_STEP = 0.5  # samples of the field of view from one sample to the next
LINES = ("vista", "uniform", "interleaved", "fixed")  # patterns of lines
CENTRE_LINES = 4  # of a variable-density frame, always sampled, unless others are asked for


def radial(
    n_frames: int, spokes: int, matrix: tuple[int, int]
) -> tuple[Float[np.ndarray, "readout sample 2"], Int[np.ndarray, " readout"]]:
    """Spokes in golden-angle steps, twice oversampled along the readout; trajectory and frame of each readout."""
    n_samples = READOUT_OVERSAMPLING * max(matrix)
    radius = (np.arange(n_samples) - n_samples // 2) / n_samples
    angle = np.arange(n_frames * spokes) * GOLDEN_ANGLE
    direction = np.stack([np.sin(angle), np.cos(angle)], -1)
    return radius[None, :, None] * direction[:, None, :], np.repeat(np.arange(n_frames), spokes)


def spiral(
    n_frames: int, interleaves: int, matrix: tuple[int, int]
) -> tuple[Float[np.ndarray, "readout sample 2"], Int[np.ndarray, " readout"]]:
    """Archimedean spirals from the centre at constant speed, turned by the golden angle of the whole circle each."""
    n = max(matrix)
    radius = np.linspace(0, 0.5, 100 * n)
    turns = n / (2 * SPIRALS)
    angle = 2 * np.pi * turns * radius / 0.5
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(radius), radius[1:] * np.diff(angle)))])
    places = np.linspace(0, length[-1], int(np.ceil(length[-1] * n / SPIRAL_STEP)) + 1)
    radius, angle = (np.interp(places, length, along) for along in (radius, angle))
    angle = angle + 2 * GOLDEN_ANGLE * np.arange(n_frames * interleaves)[:, None]
    trajectory = radius[:, None] * np.stack([np.sin(angle), np.cos(angle)], -1)
    return trajectory, np.repeat(np.arange(n_frames), interleaves)


def cartesian(
    n_frames: int,
    acceleration: float,
    matrix: tuple[int, int],
    pattern: str,
    random: np.random.Generator,
    calibration: int | None = None,
) -> tuple[Float[np.ndarray, "readout sample 2"], Int[np.ndarray, " readout"]]:
    """Lines along x: `vista` of variable density, new each frame, or every R-th.

    Every R-th line is shifted from frame to frame by the golden ratio (`uniform`) or by one line (`interleaved`), or
    is the same in all frames (`fixed`). `calibration` lines at the centre are in every frame: of `vista` among those
    that the acceleration leaves (4, if None), of the others beside them (0, if None).
    Raises BadRequest when the acceleration leaves no lines, or not as many as are for calibration.
    """
    ny, nx = matrix
    n_lines = round(ny / acceleration)
    n_centre = calibration if calibration is not None else CENTRE_LINES if pattern == "vista" else 0
    if not 1 <= n_lines <= ny or (pattern == "vista" and n_lines <= n_centre):
        raise BadRequest(
            f"--acceleration {acceleration:g}", f"a frame of {ny} lines cannot have it", "choose a smaller one"
        )
    if n_centre > ny:
        raise BadRequest(f"--calibration {n_centre}", f"a frame has {ny} lines", "choose fewer")
    centre = np.arange(ny // 2 - n_centre // 2, ny // 2 - n_centre // 2 + n_centre)
    lines = [
        _variable(ny, n_lines, centre, random)
        if pattern == "vista"
        else np.union1d(_evenly(ny, n_lines, pattern, frame), centre)
        for frame in range(n_frames)
    ]
    ky = (np.concatenate(lines) - ny // 2) / ny
    kx = (np.arange(nx) - nx // 2) / nx
    trajectory = np.stack(np.broadcast_arrays(ky[:, None], kx[None]), -1)
    return trajectory, np.repeat(np.arange(n_frames), [len(line) for line in lines])


def _evenly(ny: int, n_lines: int, pattern: str, frame: int) -> np.ndarray:
    step = ny / n_lines
    if pattern == "uniform":
        shift = (frame * GOLDEN_ANGLE / np.pi) % 1.0 * step
    else:  # the first frame has the central line
        shift = (ny // 2 + (frame if pattern == "interleaved" else 0)) % step + 1e-9  # of rounding
    return np.unique((np.arange(n_lines) * step + shift).astype(int) % ny)


def _variable(ny: int, n_lines: int, centre: np.ndarray, random: np.random.Generator) -> np.ndarray:
    distance = np.abs(np.arange(ny) - ny // 2) / (ny / 2)
    weight = 1 / (0.1 + distance) ** 1.5
    weight[centre] = 0
    rest = random.choice(ny, n_lines - len(centre), replace=False, p=weight / weight.sum())
    return np.sort(np.concatenate([centre, rest]))
