"""The time average of a slice at low resolution, coil by coil: for coil maps, and to see what lies around the heart."""

import numpy as np
from jaxtyping import Complex, Float

from dainr.operators.nufft.coils import CoilNufft
from dainr.prepare.density import passes_centre

CALIBRATION_WIDTH = 16  # k-space samples of the single field of view
COARSE = 80  # pixels a side; coil maps are smoother than that
LARGEST_STEP = 0.55  # samples of the field of view from one to the next: twice the field of view fits between


def widening(trajectory: Float[np.ndarray, "readout sample 2"], matrix: tuple[int, int]) -> int:
    """How many fields of view the samples hold a side: two of oversampled spokes, else one."""
    if not passes_centre(trajectory):
        return 1
    steps = np.hypot(*np.moveaxis(np.diff(trajectory, axis=1) * np.array(matrix), -1, 0))
    return 2 if np.median(steps) <= LARGEST_STEP else 1


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
