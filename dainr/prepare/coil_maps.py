"""Coil maps from the scan itself: of lines smooth maps fitted to the time average (`smooth_maps`), of other readouts
ESPIRiT on the time-averaged data, adaptive combination where that fails.

Oversampled spokes are estimated on twice the field of view: signal beyond the edge is the rule, and on the bare field
of view it wraps around into the maps. What few spokes leave out near the k-space centre is filled in first.
ESPIRiT: Uecker et al., Magn Reson Med 2014;71:990; adaptive: Walsh et al., Magn Reson Med 2000;43:682. Maps have unit
norm over the coils.
"""

import logging

import numpy as np
import torch
from jaxtyping import Complex, Float

from dainr.prepare.average import CALIBRATION_WIDTH, average_images, average_kspace, coarse_size, widening
from dainr.prepare.espirit import espirit
from dainr.prepare.few_spokes import KERNEL_WIDTH, fill_kspace, filled_width
from dainr.prepare.smooth_maps import CoilMaps, smooth_maps
from dainr.prepare.whiten import unit_norm

log = logging.getLogger(__name__)

SINGULAR_THRESHOLD = 0.02
WALSH_WINDOW = 5
RESIDUAL_LIMIT = 0.2  # of the low-resolution signal's norm unexplained by the maps


def estimate_coil_maps(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    density: Float[np.ndarray, "readout sample"],
    matrix: tuple[int, int],
    cartesian: bool,
) -> CoilMaps:
    """Maps `coil y x` of the given matrix from all readouts together."""
    if cartesian:
        return smooth_maps(kspace, trajectory, matrix)
    widen = widening(trajectory, matrix)
    coarse = coarse_size(matrix, widen)
    if len(kspace) > 1 and filled_width(trajectory, matrix) < CALIBRATION_WIDTH:
        calibration = fill_kspace(kspace, trajectory, coarse, matrix, widen)
    else:
        calibration = average_kspace(kspace, trajectory, density, coarse, matrix, widen)
    images = average_images(calibration, widen)
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


def _espirit(calibration: np.ndarray, width: int) -> np.ndarray:
    width = min(width, *calibration.shape[1:])
    if width < 2 * KERNEL_WIDTH:
        raise ValueError(f"the calibration region is only {width} samples wide")
    kspace = torch.from_numpy(calibration.astype(np.complex64))
    maps = espirit(kspace, width, KERNEL_WIDTH, SINGULAR_THRESHOLD).numpy()
    if not np.isfinite(maps).all():
        raise ValueError("ESPIRiT's maps are not finite")
    return maps


def _adaptive(images: Complex[np.ndarray, "coil y x"]) -> Complex[np.ndarray, "coil y x"]:
    """Per pixel the leading eigenvector of the local coil covariance, phase referenced to the strongest coil."""
    from scipy.ndimage import uniform_filter  # here, for it takes long to import and few scans need it

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
    """Coarse maps on the pixels of the matrix, by cubic splines; both centres are index n // 2."""
    rows, columns = (_spline_matrix(n, coarse, widen) for n, coarse in zip(matrix, maps.shape[1:], strict=True))
    return rows @ maps @ columns.T


def _spline_matrix(n: int, n_coarse: int, widen: int) -> Float[np.ndarray, "pixel coarse"]:
    """Values at `n` pixels of the cubic spline through those at coarse pixels of `widen` times the field of view."""
    place = (np.arange(n) - n // 2) * n_coarse / (widen * n) + n_coarse // 2
    return _splines_at(place, n_coarse) @ np.linalg.inv(_splines_at(np.arange(n_coarse, dtype=float), n_coarse))


def _splines_at(place: Float[np.ndarray, " place"], n: int) -> Float[np.ndarray, "place spline"]:
    """Cubic B-splines on `n` pixels, mirrored at the first and the last: true maps do not go on at the other edge."""
    first = np.floor(place).astype(int) - 1
    matrix = np.zeros((len(place), n))
    for index in range(4):
        t = np.abs(place - first - index)
        weight = np.where(t <= 1, 2 / 3 - t**2 + t**3 / 2, (2 - t) ** 3 / 6)
        mirrored = (n - 1) - np.abs((n - 1) - np.abs(first + index))
        np.add.at(matrix, (np.arange(len(place)), mirrored), weight)
    return matrix
