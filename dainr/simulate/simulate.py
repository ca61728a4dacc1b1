"""A simulated scan put together: object, coils, sampling, correlated noise with its measurement, the reference."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal

import numpy as np
from jaxtyping import Complex, Float, Inexact

from dainr.errors import BadRequest
from dainr.scan import Scan
from dainr.simulate.coils import coil_coefficients, coil_maps, harmonics
from dainr.simulate.crop import central_size, cut, delivered, oversampled, whole_size
from dainr.simulate.phantom import Ellipse, ellipse_image, ellipse_kspace
from dainr.simulate.phantoms import DEFAULT_PHANTOM, PHANTOMS, frame_centres, readout_times
from dainr.simulate.sampling import LINES, cartesian, radial, spiral
from dainr.simulate.stack import cut_at
from dainr.simulate.true_motion import displacement

STACK = "stack-of-stars"  # spokes in each of several partitions along kz
PATTERNS = ("radial", "spiral", *LINES, STACK)
CYCLE_S = 1.0  # a cine's heartbeat, sampled from its beginning to its end
OBJECT_MM, SLICE_MM = 320.0, 8.0  # the longer side of what is measured
NOISE_SAMPLES = 4096
SIGNAL_PERCENTILE = 99.0
CORRELATION = 0.25  # of the noise of neighbouring coils
MOST = {"spokes": 100_000, "coils": 1024, "frames": 100_000, "matrix": 4096, "partitions": 4096}
BEST_SNR = 1e12
PHASE_TURN = 1.5  # rad over the field of view, of a cine's smooth phase


@dataclass(frozen=True)
class SimulationConfig:
    """What is measured in a simulated scan, its sampling and its noise."""

    pattern: Literal["radial", "spiral", "vista", "uniform", "interleaved", "fixed", "stack-of-stars"] = "radial"
    spokes: int = 13  # a frame, radial, or interleaves of spirals
    acceleration: float = 8.0  # Cartesian
    calibration: int | None = None  # lines at the centre of every frame, Cartesian; None: 4 of vista, else none
    coils: int = 8
    snr: float = 50.0  # 99th percentile of the signal over the noise of a pixel
    frames: int = 25
    matrix: int = 128
    seed: int = 0
    phantom: str = DEFAULT_PHANTOM  # one of PHANTOMS
    partitions: int = 12  # of a stack of stars, and slices
    crop: bool = False  # the field of view is the inner two thirds of what is measured

    def __post_init__(self) -> None:
        for name, lowest in (("spokes", 1), ("coils", 1), ("frames", 1), ("matrix", 16), ("partitions", 2)):
            if getattr(self, name) < lowest:
                raise BadRequest(f"--{name} {getattr(self, name)}", "that is too few", f"choose {lowest} or more")
        for name, highest in MOST.items():
            if getattr(self, name) > highest:
                raise BadRequest(f"--{name} {getattr(self, name)}", "that is too many", f"choose {highest} or fewer")
        if not 0 < self.snr <= BEST_SNR or not 1 <= self.acceleration < math.inf:
            raise BadRequest(
                "--snr or --acceleration", "it is out of range", "choose a positive SNR up to 1e12, an R of 1 or more"
            )
        if not 0 <= self.seed < 2**63:
            raise BadRequest(f"--seed {self.seed}", "it is out of range", "choose 0 to 2^63 - 1")
        if self.calibration is not None and self.calibration < 0:
            raise BadRequest(f"--calibration {self.calibration}", "that is too few", "choose 0 or more")
        if self.pattern not in PATTERNS:
            raise BadRequest(f"--pattern {self.pattern}", "there is no such pattern", f"choose {_any_of(PATTERNS)}")
        if self.phantom not in PHANTOMS:
            raise BadRequest(f"--phantom {self.phantom}", "there is no such phantom", f"choose {_any_of(PHANTOMS)}")


def simulate_phantom(config: SimulationConfig, beside: Sequence[Ellipse] = ()) -> Scan:
    """A phantom, each readout measured analytically at its own time.

    `beside`: ellipses more, such as fat outside the field of view; its side is their unit, of cropped tissue the side
    of the whole. A stack of stars has slices, each as its transform along kz would give it.
    """
    random = np.random.default_rng(config.seed)
    matrix = (config.matrix, config.matrix)
    whole = whole_size(matrix) if config.crop else matrix
    phantom = PHANTOMS[config.phantom]
    trajectory, frame = _sample(config, config.frames, matrix, random)
    time = readout_times(phantom, frame)
    coefficients = coil_coefficients(config.coils, random)
    ellipses = [*phantom.ellipses(), *beside]

    def measure(trajectory: np.ndarray, ellipses: list[Ellipse] = ellipses) -> np.ndarray:
        kspace = np.zeros((config.coils, *trajectory.shape[:2]), np.complex128)
        cycles = trajectory * whole[0]  # per length of the object, the unit of its ellipses and coils
        for term, shift in enumerate(harmonics()):
            kspace += coefficients[:, term, None, None] * ellipse_kspace(ellipses, cycles - shift, time)
        return kspace * (whole[0] ** 2 / config.matrix)  # its area in pixels over the orthonormal sqrt(ny nx)

    n = config.partitions
    slices = [cut_at(ellipses, index, n) for index in range(n)] if config.pattern == STACK else [ellipses]
    kspace = [_cut(config, trajectory, partial(measure, ellipses=one)) for one in slices]
    maps = coil_maps(coefficients, whole)
    images = ((maps * ellipse_image(one, whole, t) for t in frame_centres(config.frames)) for one in slices)
    scan = _scan(config, kspace, trajectory, frame, time, images, matrix, whole, random)
    return scan.changed(
        affine=_axial(scan) if config.pattern == STACK else None,
        times=np.broadcast_to(phantom.seconds * time, scan.times.shape),
        phase=scan.phase if phantom.is_heartbeat else None,
        cyclic=None if phantom.is_heartbeat else False,
    )


def true_displacement(config: SimulationConfig) -> Float[np.ndarray, "1 frame 2 y x"] | None:
    """How the tissue of the phantom moves: from each pixel's tissue in the first frame to where it is in every frame.

    (x, y) in pixels, in closed form; not a number where it is not known (blood, what the heart covers and uncovers,
    air). None of phantoms whose motion is not known: bolus and decay, and a stack of stars.
    """
    phantom = PHANTOMS[config.phantom]
    if phantom.motion is None or config.pattern == STACK:
        return None
    matrix = (config.matrix, config.matrix)
    whole = whole_size(matrix) if config.crop else matrix
    found = displacement(phantom.motion(phantom.ellipses()), frame_centres(config.frames).tolist(), whole)
    (top, left) = (n // 2 - m // 2 for n, m in zip(whole, matrix, strict=True))
    return found[None, :, :, top : top + matrix[0], left : left + matrix[1]]


def simulate_cine(series: Inexact[np.ndarray, "frame y x"], config: SimulationConfig) -> Scan:
    """A given series, each readout measured in its frame; magnitudes are given a smooth phase, complex ones have it."""
    from dainr.operators.nufft.coils import CoilNufft  # here, for it brings torch, which a phantom does not need

    smallest = 24 if config.crop else 16
    if (
        series.ndim != 3
        or min(series.shape[1:]) < smallest
        or not np.isfinite(series).all()
        or not np.abs(series).max() > 0
    ):
        what, fix = f"a series of shape {series.shape} cannot be measured", "give frame, y, x magnitudes"
        raise BadRequest("--cine", what, f"{fix}, of {smallest} pixels or more a side")
    random = np.random.default_rng(config.seed)
    whole = (series.shape[1], series.shape[2])
    matrix = central_size(whole) if config.crop else whole
    trajectory, frame = _sample(config, len(series), matrix, random)
    phase = (np.arange(len(frame)) + 0.5) / len(frame)
    maps = coil_maps(coil_coefficients(config.coils, random), whole)
    y, x = np.meshgrid(*(np.arange(n) / n - 0.5 for n in whole), indexing="ij")
    turned = series if np.iscomplexobj(series) else series * np.exp(1j * PHASE_TURN * (y + 0.6 * x**2))

    def measure(trajectory: np.ndarray) -> np.ndarray:
        kspace = np.zeros((config.coils, *trajectory.shape[:2]), np.complex128)
        for index, image in enumerate(turned):
            mine = frame == index
            points = trajectory[mine].reshape(-1, 2)
            values = CoilNufft(points, image.shape, config.coils, tolerance=1e-9).forward(maps * image)
            kspace[:, mine] = values.reshape(config.coils, mine.sum(), -1) / np.sqrt(matrix[0] * matrix[1])
        return kspace

    kspace = _cut(config, trajectory, measure)
    images = [(maps * image for image in turned)]
    return _scan(config, [kspace], trajectory, frame, phase, images, matrix, whole, random)


def _sample(
    config: SimulationConfig, n_frames: int, matrix: tuple[int, int], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if config.pattern not in LINES:
        return (spiral if config.pattern == "spiral" else radial)(n_frames, config.spokes, matrix)
    return cartesian(n_frames, config.acceleration, matrix, config.pattern, random, config.calibration)


def _cut(
    config: SimulationConfig, trajectory: np.ndarray, measure: Callable[[np.ndarray], np.ndarray]
) -> Complex[np.ndarray, "coil readout sample"]:
    """K-space on a trajectory; of lines of what is larger than the field of view, cut to it along x."""
    if config.crop and config.pattern in LINES:
        return cut(measure(oversampled(trajectory)))
    return measure(trajectory)


def _scan(
    config: SimulationConfig,
    slices: Sequence[Complex[np.ndarray, "coil readout sample"]],
    trajectory: np.ndarray,
    frame: np.ndarray,
    phase: np.ndarray,
    images: Iterable[Iterable[Complex[np.ndarray, "coil whole_y whole_x"]]],
    matrix: tuple[int, int],
    whole: tuple[int, int],
    random: np.random.Generator,
) -> Scan:
    """Add noise of the wanted level; the reference is the root sum of squares of the noise-whitened coil images."""
    distance = np.abs(np.subtract.outer(np.arange(config.coils), np.arange(config.coils)))
    mixing = np.linalg.cholesky(CORRELATION**distance)
    unmix = np.linalg.inv(mixing)
    brightest, reference = np.zeros(matrix), []
    for image in chain.from_iterable(images):
        inner = delivered(image, matrix, wraps=config.pattern in LINES)
        brightest = np.maximum(brightest, np.sqrt((np.abs(inner) ** 2).sum(0)))
        reference.append(np.sqrt((np.abs(np.tensordot(unmix, inner, axes=1)) ** 2).sum(0)))
    sigma = float(np.percentile(brightest, SIGNAL_PERCENTILE)) / config.snr
    mixing *= sigma
    noisy = [kspace + np.tensordot(mixing, _noise(kspace.shape, random), axes=1) for kspace in slices]
    n = len(slices)

    def in_each(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (n, *array.shape))

    return Scan(
        kspace=np.stack(noisy).astype(np.complex64),
        trajectory=in_each(trajectory.astype(np.float32)),
        times=in_each(CYCLE_S * phase),
        matrix=matrix,
        fov_mm=(OBJECT_MM * matrix[0] / max(whole), OBJECT_MM * matrix[1] / max(whole)),
        slice_thickness_mm=SLICE_MM,
        frame=in_each(frame.astype(np.int32)),
        phase=in_each(phase.astype(np.float32)),
        noise=(mixing @ _noise((config.coils, NOISE_SAMPLES), random)).astype(np.complex64),
        reference=(np.stack(reference) / sigma).astype(np.float32).reshape(n, -1, *matrix),
        name="simulation",
    )


def _axial(scan: Scan) -> Float[np.ndarray, "4 4"]:
    """An axial slab about the origin, its centre index n // 2 along every axis."""
    size = np.array([scan.fov_mm[1] / scan.matrix[1], scan.fov_mm[0] / scan.matrix[0], scan.slice_thickness_mm])
    affine = np.diag([-size[0], -size[1], size[2], 1.0])
    affine[:3, 3] = -affine[:3, :3] @ [scan.matrix[1] // 2, scan.matrix[0] // 2, scan.n_slices // 2]
    return affine


def _any_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _noise(shape: tuple[int, ...], random: np.random.Generator) -> Complex[np.ndarray, "..."]:
    """White complex noise, mean square one."""
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / np.sqrt(2)
