"""Still signal outside the field of view, such as fat and arms: taken out of the samples of spokes.

Spokes hold twice the field of view. What lies in between has no pixel to be in, and becomes streaks across the heart.
Where a time average at low resolution clearly shows signal there, it is reconstructed coil by coil together with the
field of view, from the readouts of all frames,

    min_x  sum_j w_j |(F x)_j - y_j|^2,    x zero where nothing was seen outside,

by conjugate gradients, and its samples are subtracted.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, Float

from dainr.operators.nufft.coils import CoilNufft
from dainr.prepare.average import average_images, average_kspace, coarse_size, widening

CLEAR, FAINT = 0.2, 0.1  # of the brightness inside: what shows that there is signal, and what then belongs to it
BRIGHT_PERCENTILE = 99.0
MARGIN = 2  # coarse pixels: the blur of the low resolution
ITERATIONS = 6  # more fit the noise of the readouts, and others worse
PRECISION = 1e-4


@dataclass(frozen=True, eq=False)
class Outside:
    """The samples of what lies outside, and the share of the density-weighted signal it makes up."""

    kspace: Complex[np.ndarray, "coil readout sample"]
    share: float


def estimate_outside(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    density: Float[np.ndarray, "readout sample"],
    matrix: tuple[int, int],
    seen: Bool[np.ndarray, " readout"],
) -> Outside | None:
    """What lies outside, from the readouts that are seen, at all readouts; None where nothing clearly does."""
    if widening(trajectory, matrix) < 2:
        return None
    place = _where(kspace[:, seen], trajectory[seen], density[seen], matrix)
    if place is None:
        return None
    inside = _field_of_view(matrix)
    transform = CoilNufft(trajectory.reshape(-1, 2), place.shape, len(kspace), PRECISION, "complex64")
    weight = (density * seen[:, None]).reshape(-1).astype(np.float32)
    samples = kspace.reshape(len(kspace), -1).astype(np.complex64)
    image = _least_squares(transform, samples, weight, inside | place)
    outside = transform.forward(image * (place & ~inside))
    energy = [float((weight * np.abs(part) ** 2).sum()) for part in (outside, samples)]
    return Outside(outside.reshape(kspace.shape), energy[0] / energy[1])


def _field_of_view(matrix: tuple[int, int]) -> Bool[np.ndarray, "two_y two_x"]:
    """Which pixels of twice the field of view are those of the matrix; both centres are index n // 2."""
    y, x = ((np.arange(2 * n) >= n - n // 2) & (np.arange(2 * n) < 2 * n - n // 2) for n in matrix)
    return y[:, None] & x


def _where(
    kspace: np.ndarray, trajectory: np.ndarray, density: np.ndarray, matrix: tuple[int, int]
) -> Bool[np.ndarray, "two_y two_x"] | None:
    """Where signal is seen outside, with a margin, on twice the field of view; None where it is not clear."""
    coarse = average_kspace(kspace, trajectory, density, coarse_size(matrix, 2), matrix, 2)
    brightness = np.sqrt((np.abs(average_images(coarse, 2)) ** 2).sum(0))
    y, x = (np.abs(np.arange(n) - n // 2) * 2 / n for n in brightness.shape)
    from_centre = np.maximum(y[:, None], x)  # in fields of view, of which half is the edge
    bright = np.percentile(brightness[from_centre < 0.5], BRIGHT_PERCENTILE)
    beyond = from_centre > 0.5 + 2 * MARGIN / min(brightness.shape)
    if not (brightness[beyond] > CLEAR * bright).any():
        return None
    from scipy.ndimage import binary_dilation, zoom  # here, for it takes long to import and few scans need it

    seen = binary_dilation((from_centre >= 0.5) & (brightness > FAINT * bright), iterations=MARGIN)
    sizes = [2 * n / coarse_n for n, coarse_n in zip(matrix, seen.shape, strict=True)]
    return zoom(seen.astype(np.float32), sizes, order=1, grid_mode=True, mode="nearest") > 0.5


def _least_squares(transform: CoilNufft, samples: np.ndarray, weight: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The images of all coils that explain the samples best, zero elsewhere than at a place."""
    residual = transform.adjoint(samples * weight) * place
    images, direction = np.zeros_like(residual), residual.copy()
    energy = np.vdot(residual, residual).real
    for _ in range(ITERATIONS):
        if energy == 0:
            break
        applied = transform.adjoint(transform.forward(direction) * weight) * place
        step = energy / np.vdot(direction, applied).real
        images += step * direction
        residual -= step * applied
        before, energy = energy, np.vdot(residual, residual).real
        direction = residual + energy / before * direction
    return images
