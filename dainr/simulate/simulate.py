"""A simulated scan put together: object, coils, sampling, correlated noise with its measurement, the reference."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import finufft
import numpy as np
from jaxtyping import Complex, Float

from dainr.errors import BadRequest
from dainr.scan import Scan
from dainr.simulate.coils import coil_coefficients, coil_maps, harmonics
from dainr.simulate.phantom import Ellipse, ellipse_image, ellipse_kspace
from dainr.simulate.phantoms import DEFAULT_PHANTOM, PHANTOMS, frame_centres, readout_times
from dainr.simulate.sampling import cartesian, radial

CYCLE_S = 1.0  # a cine's heartbeat, sampled from its beginning to its end
FOV_MM, SLICE_MM = 320.0, 8.0
NOISE_SAMPLES = 4096
SIGNAL_PERCENTILE = 99.0
CORRELATION = 0.25  # of the noise of neighbouring coils
PHASE_TURN = 1.5  # rad over the field of view, of a cine's smooth phase


@dataclass(frozen=True)
class SimulationConfig:
    """What is measured in a simulated scan, its sampling and its noise."""

    pattern: Literal["radial", "vista", "uniform"] = "radial"
    spokes: int = 13  # a frame, radial
    acceleration: float = 8.0  # Cartesian
    coils: int = 8
    snr: float = 50.0  # 99th percentile of the signal over the noise of a pixel
    frames: int = 25
    matrix: int = 128
    seed: int = 0
    phantom: str = DEFAULT_PHANTOM  # one of PHANTOMS

    def __post_init__(self) -> None:
        for name, lowest in (("spokes", 1), ("coils", 1), ("frames", 1), ("matrix", 16)):
            if getattr(self, name) < lowest:
                raise BadRequest(f"--{name} {getattr(self, name)}", "that is too few", f"choose {lowest} or more")
        if not self.snr > 0 or not self.acceleration >= 1:
            raise BadRequest(
                "--snr or --acceleration", "it is out of range", "choose a positive SNR, an R of 1 or more"
            )
        if self.pattern not in ("radial", "vista", "uniform"):
            raise BadRequest(f"--pattern {self.pattern}", "there is no such pattern", "choose radial, vista or uniform")
        if self.phantom not in PHANTOMS:
            raise BadRequest(f"--phantom {self.phantom}", "there is no such phantom", f"choose {_any_of(PHANTOMS)}")


def simulate_phantom(config: SimulationConfig, beside: Sequence[Ellipse] = ()) -> Scan:
    """A phantom, each readout measured analytically at its own time.

    `beside`: ellipses more, such as fat outside the field of view.
    """
    random = np.random.default_rng(config.seed)
    matrix = (config.matrix, config.matrix)
    phantom = PHANTOMS[config.phantom]
    trajectory, frame = _sample(config, config.frames, matrix, random)
    time = readout_times(phantom, frame)
    coefficients = coil_coefficients(config.coils, random)
    ellipses = [*phantom.ellipses(), *beside]
    kspace = np.zeros((config.coils, *trajectory.shape[:2]), np.complex128)
    cycles = trajectory * config.matrix  # per field of view
    for term, shift in enumerate(harmonics()):
        moved = ellipse_kspace(ellipses, cycles - shift, time)
        kspace += coefficients[:, term, None, None] * moved
    kspace *= config.matrix  # fields of view to pixels: area ny nx over the orthonormal sqrt(ny nx)
    series = np.stack([ellipse_image(ellipses, matrix, t) for t in frame_centres(config.frames)])
    scan = _scan(config, kspace, trajectory, frame, time, series, coil_maps(coefficients, matrix), random)
    return scan.changed(
        times=phantom.seconds * time[None],
        phase=scan.phase if phantom.is_heartbeat else None,
        cyclic=None if phantom.is_heartbeat else False,
    )


def simulate_cine(series: Float[np.ndarray, "frame y x"], config: SimulationConfig) -> Scan:
    """A given magnitude series with a smooth phase, each readout measured in its frame."""
    if series.ndim != 3 or min(series.shape[1:]) < 16 or not np.isfinite(series).all() or not series.max() > 0:
        raise BadRequest(
            "--cine", f"a series of shape {series.shape} cannot be measured", "give frame, y, x magnitudes"
        )
    random = np.random.default_rng(config.seed)
    matrix = (series.shape[1], series.shape[2])
    trajectory, frame = _sample(config, len(series), matrix, random)
    phase = (np.arange(len(frame)) + 0.5) / len(frame)
    maps = coil_maps(coil_coefficients(config.coils, random), matrix)
    y, x = np.meshgrid(*(np.arange(n) / n - 0.5 for n in matrix), indexing="ij")
    turned = series * np.exp(1j * PHASE_TURN * (y + 0.6 * x**2))
    kspace = np.zeros((config.coils, *trajectory.shape[:2]), np.complex128)
    for index, image in enumerate(turned):
        mine = frame == index
        angle = np.ascontiguousarray(2 * np.pi * trajectory[mine].reshape(-1, 2).T)
        values = finufft.nufft2d2(*angle, np.ascontiguousarray(maps * image), isign=-1, eps=1e-9)
        kspace[:, mine] = values.reshape(config.coils, mine.sum(), -1) / np.sqrt(matrix[0] * matrix[1])
    return _scan(config, kspace, trajectory, frame, phase, series, maps, random)


def _sample(
    config: SimulationConfig, n_frames: int, matrix: tuple[int, int], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    if config.pattern == "radial":
        return radial(n_frames, config.spokes, matrix)
    return cartesian(n_frames, config.acceleration, matrix, config.pattern, random)


def _scan(
    config: SimulationConfig,
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: np.ndarray,
    frame: np.ndarray,
    phase: np.ndarray,
    series: Float[np.ndarray, "frame y x"],
    maps: Complex[np.ndarray, "coil y x"],
    random: np.random.Generator,
) -> Scan:
    """Add noise of the wanted level; the reference is the root sum of squares of the noise-whitened coil images."""
    coil_images = np.abs(series).max(0) * np.sqrt((np.abs(maps) ** 2).sum(0))
    sigma = float(np.percentile(coil_images, SIGNAL_PERCENTILE)) / config.snr
    distance = np.abs(np.subtract.outer(np.arange(config.coils), np.arange(config.coils)))
    mixing = sigma * np.linalg.cholesky(CORRELATION**distance)
    whitened = np.tensordot(np.linalg.inv(mixing), maps, axes=1)
    reference = np.abs(series) * np.sqrt((np.abs(whitened) ** 2).sum(0))
    matrix = (series.shape[1], series.shape[2])
    fov = FOV_MM * matrix[0] / max(matrix), FOV_MM * matrix[1] / max(matrix)
    return Scan(
        kspace=(kspace + np.tensordot(mixing, _noise(kspace.shape, random), axes=1)).astype(np.complex64)[None],
        trajectory=trajectory.astype(np.float32)[None],
        times=(CYCLE_S * phase)[None],
        matrix=matrix,
        fov_mm=fov,
        slice_thickness_mm=SLICE_MM,
        frame=frame.astype(np.int32)[None],
        phase=phase.astype(np.float32)[None],
        noise=(mixing @ _noise((config.coils, NOISE_SAMPLES), random)).astype(np.complex64),
        reference=reference.astype(np.float32)[None],
        name="simulation",
    )


def _any_of(names: Iterable[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}"


def _noise(shape: tuple[int, ...], random: np.random.Generator) -> Complex[np.ndarray, "..."]:
    """White complex noise, mean square one."""
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)) / np.sqrt(2)
