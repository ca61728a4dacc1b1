"""Coil maps from the scan itself: ESPIRiT on the time-averaged data, adaptive combination where that fails.

Radial data is estimated on twice the field of view: signal beyond the edge is the rule, and on the bare field of view
it wraps around into the maps. ESPIRiT: Uecker et al., Magn Reson Med 2014;71:990 (sigpy's implementation); adaptive:
Walsh et al., Magn Reson Med 2000;43:682. Maps have unit norm over the coils.
"""

import logging
from dataclasses import dataclass

import finufft
import numpy as np
from jaxtyping import Complex, Float
from scipy.ndimage import map_coordinates, uniform_filter

from dainr.prepare.density import passes_centre
from dainr.prepare.whiten import unit_norm

log = logging.getLogger(__name__)

CALIBRATION_WIDTH = 16  # k-space samples of the single field of view
KERNEL_WIDTH = 6
SINGULAR_THRESHOLD = 0.02
COARSE = 80  # pixels of the grid on which maps are estimated; they are smoother than that
WALSH_WINDOW = 5
RESIDUAL_LIMIT = 0.2  # of the low-resolution signal's norm unexplained by the maps


@dataclass(frozen=True, eq=False)
class CoilMaps:
    """Estimated maps, how they were made, and the share of the low-resolution signal they leave unexplained."""

    maps: Complex[np.ndarray, "coil y x"]
    method: str
    residual: float


def estimate_coil_maps(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    density: Float[np.ndarray, "readout sample"],
    matrix: tuple[int, int],
    cartesian: bool,
) -> CoilMaps:
    """Maps `coil y x` of the given matrix from all readouts together."""
    widen = 2 if passes_centre(trajectory) else 1  # only spokes have the samples for twice the field of view
    coarse = _even(min(COARSE, widen * matrix[0])), _even(min(COARSE, widen * matrix[1]))
    calibration = average_kspace(kspace, trajectory, density, coarse, matrix, widen, cartesian)
    images = _image(calibration * _taper(coarse, widen))
    place = f"{'twice ' if widen == 2 else ''}the field of view"
    try:
        maps, method = _espirit(calibration, CALIBRATION_WIDTH * widen), f"ESPIRiT on {place}"
        residual = _unexplained(images, maps)
        if not residual < RESIDUAL_LIMIT:
            raise ValueError(f"ESPIRiT left {residual:.0%} of the signal unexplained")
    except (ValueError, np.linalg.LinAlgError, IndexError) as error:
        log.info("coil maps: %s; using adaptive combination", error)
        maps, method = _adaptive(images), f"adaptive combination on {place} (ESPIRiT failed: {error})"
        residual = _unexplained(images, maps)
    return CoilMaps(unit_norm(_refine(maps, matrix, widen)).astype(np.complex64), method, residual)


def average_kspace(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    density: Float[np.ndarray, "readout sample"],
    size: tuple[int, int],
    matrix: tuple[int, int],
    widen: int,
    cartesian: bool,
) -> Complex[np.ndarray, "coil ky kx"]:
    """The central `size` samples of the time average's Cartesian k-space on `widen` times the field of view."""
    points = trajectory.reshape(-1, 2).astype(np.float64) * np.array(matrix) * widen  # in samples of that k-space
    inside = (np.abs(points) <= np.array(size) // 2 - 1).all(1)
    values = kspace.reshape(len(kspace), -1)[:, inside].astype(np.complex128)
    points = points[inside]
    if cartesian:
        cells = np.rint(points).astype(int) + np.array(size) // 2
        flat = cells[:, 0] * size[1] + cells[:, 1]
        count = np.maximum(np.bincount(flat, minlength=size[0] * size[1]), 1)
        grid = np.zeros((len(kspace), size[0] * size[1]), np.complex128)
        for coil, row in enumerate(values):
            grid[coil] = np.bincount(flat, row.real, len(count)) + 1j * np.bincount(flat, row.imag, len(count))
        return (grid / count).reshape(-1, *size)
    angle = 2 * np.pi * points / np.array(size)
    weighted = np.ascontiguousarray(values * density.reshape(-1)[inside])
    images = finufft.nufft2d1(*np.ascontiguousarray(angle.T), weighted, size, isign=1, eps=1e-6)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(1, 2))), axes=(1, 2))


def _espirit(calibration: np.ndarray, width: int) -> np.ndarray:
    from sigpy.mri.app import EspiritCalib

    width = min(width, *calibration.shape[1:])
    if width < 2 * KERNEL_WIDTH:
        raise ValueError(f"the calibration region is only {width} samples wide")
    maps = EspiritCalib(
        calibration.astype(np.complex64),
        calib_width=width,
        thresh=SINGULAR_THRESHOLD,
        kernel_width=KERNEL_WIDTH,
        crop=0,
        max_iter=30,
        show_pbar=False,
    ).run()
    if not np.isfinite(maps).all():
        raise ValueError("ESPIRiT's maps are not finite")
    return np.asarray(maps)


def _adaptive(images: Complex[np.ndarray, "coil y x"]) -> Complex[np.ndarray, "coil y x"]:
    """Per pixel the leading eigenvector of the local coil covariance, phase referenced to the strongest coil."""
    n_coils = len(images)
    covariance = np.empty((*images.shape[1:], n_coils, n_coils), np.complex128)
    for a in range(n_coils):
        for b in range(n_coils):
            product = images[a] * images[b].conj()
            covariance[..., a, b] = uniform_filter(product.real, WALSH_WINDOW) + 1j * uniform_filter(
                product.imag, WALSH_WINDOW
            )
    leading = np.linalg.eigh(covariance)[1][..., -1]
    strongest = int(np.argmax((np.abs(images) ** 2).sum((1, 2))))
    leading *= np.exp(-1j * np.angle(leading[..., strongest : strongest + 1]))
    return np.moveaxis(leading, -1, 0)


def _unexplained(images: Complex[np.ndarray, "coil y x"], maps: Complex[np.ndarray, "coil y x"]) -> float:
    maps = unit_norm(maps)
    explained = maps * (maps.conj() * images).sum(0)
    return float(np.linalg.norm(images - explained) / max(np.linalg.norm(images), np.finfo(float).tiny))


def _refine(maps: np.ndarray, matrix: tuple[int, int], widen: int) -> np.ndarray:
    """Cubic interpolation of coarse maps onto the pixels of the matrix; both centres are index n // 2."""
    size = maps.shape[1:]
    axes = [
        (np.arange(n) - n // 2) * coarse / (widen * n) + coarse // 2 for n, coarse in zip(matrix, size, strict=True)
    ]
    points = np.stack(np.meshgrid(*axes, indexing="ij"))
    fine = [
        map_coordinates(m.real, points, order=3, mode="nearest")
        + 1j * map_coordinates(m.imag, points, order=3, mode="nearest")
        for m in maps
    ]
    return np.stack(fine)


def _taper(size: tuple[int, int], widen: int) -> Float[np.ndarray, "ky kx"]:
    """A Gaussian that reaches 1/e at the edge of the calibration region."""
    ky, kx = np.meshgrid(*(np.arange(n) - n // 2 for n in size), indexing="ij")
    return np.exp(-((np.hypot(ky, kx) / (0.5 * CALIBRATION_WIDTH * widen)) ** 2))


def _image(kspace: np.ndarray) -> np.ndarray:
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2))), axes=(1, 2))


def _even(n: int) -> int:
    return n - n % 2
