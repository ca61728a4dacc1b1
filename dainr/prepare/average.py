"""The time average of a slice at low resolution, coil by coil: for coil maps, and to see what lies around the heart."""

import numpy as np
from jaxtyping import Complex, Float

from dainr.operators.nufft.coils import CoilNufft

CALIBRATION_WIDTH = 16  # k-space samples of the single field of view
COARSE = 80  # pixels a side; coil maps are smoother than that


def coarse_size(matrix: tuple[int, int], widen: int) -> tuple[int, int]:
    """Pixels (y, x) of the low resolution on `widen` times the field of view: even, and no more than there are."""
    ny, nx = (min(COARSE, widen * n) for n in matrix)
    return ny - ny % 2, nx - nx % 2


def average_kspace(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    density: Float[np.ndarray, "readout sample"],
    size: tuple[int, int],
    matrix: tuple[int, int],
    widen: int,
) -> Complex[np.ndarray, "coil ky kx"]:
    """The central `size` samples of the time average's Cartesian k-space on `widen` times the field of view."""
    points = trajectory.reshape(-1, 2).astype(np.float64) * np.array(matrix) * widen  # in samples of that k-space
    inside = (np.abs(points) <= np.array(size) // 2 - 1).all(1)
    values = kspace.reshape(len(kspace), -1)[:, inside].astype(np.complex128)
    points = points[inside]
    transform = CoilNufft(points / np.array(size), size, len(kspace))
    images = transform.adjoint(values * density.reshape(-1)[inside])
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(images, axes=(1, 2))), axes=(1, 2))


def average_images(kspace: Complex[np.ndarray, "coil ky kx"], widen: int) -> Complex[np.ndarray, "coil y x"]:
    """Images of that k-space, under a Gaussian that reaches 1/e at the edge of the calibration region."""
    ky, kx = np.meshgrid(*(np.arange(n) - n // 2 for n in kspace.shape[1:]), indexing="ij")
    taper = np.exp(-((np.hypot(ky, kx) / (0.5 * CALIBRATION_WIDTH * widen)) ** 2))
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace * taper, axes=(1, 2))), axes=(1, 2))
