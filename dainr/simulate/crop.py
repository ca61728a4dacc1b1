"""Tissue that crosses the edges of the field of view, as scanners deliver it.

The object, with the coils around it, is half as large again as the field of view. Lines are measured with twice the
samples, as readouts are oversampled: twice the field of view fits along x, and is cut to the matrix in image space,
coil by coil. Along y tissue beyond an edge wraps around to the other, with the sensitivity of its own place. Spokes
are oversampled as well, and delivered so: nothing is cut and nothing wraps.
"""

import numpy as np
from jaxtyping import Complex, Float

from dainr.simulate.sampling import READOUT_OVERSAMPLING

ENLARGED = 1.5  # the object's side over that of the field of view


def whole_size(matrix: tuple[int, int]) -> tuple[int, int]:
    """Pixels of an object around a matrix (y, x); even."""
    ny, nx = (2 * round(n * ENLARGED / 2) for n in matrix)
    return ny, nx


def central_size(whole: tuple[int, int]) -> tuple[int, int]:
    """Pixels of the matrix in the middle of an object (y, x); even."""
    ny, nx = (2 * round(n / ENLARGED / 2) for n in whole)
    return ny, nx


def oversampled(trajectory: Float[np.ndarray, "readout sample 2"]) -> Float[np.ndarray, "readout dense 2"]:
    """Lines along x with samples so dense that twice the field of view fits."""
    n = READOUT_OVERSAMPLING * trajectory.shape[1]
    kx = (np.arange(n) - n // 2) / n
    return np.stack(np.broadcast_arrays(trajectory[:, :1, 0], kx), -1)


def cut(kspace: Complex[np.ndarray, "coil readout dense"]) -> Complex[np.ndarray, "coil readout sample"]:
    """Lines of the field of view alone: its part of the readouts in image space, transformed back."""
    n_dense = kspace.shape[-1]
    n = n_dense // READOUT_OVERSAMPLING
    lines = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(kspace, axes=-1)), axes=-1)
    first = n_dense // 2 - n // 2
    inner = np.fft.ifftshift(lines[..., first : first + n], axes=-1)
    return np.fft.fftshift(np.fft.fft(inner), axes=-1)


def delivered(
    images: Complex[np.ndarray, "coil whole_y whole_x"], matrix: tuple[int, int], wraps: bool
) -> Complex[np.ndarray, "coil y x"]:
    """The coil images of the field of view, from those of the whole object; both centres are index n // 2."""
    rows, columns = (np.arange(n) - n // 2 + m // 2 for n, m in zip(images.shape[1:], matrix, strict=True))
    across = (columns >= 0) & (columns < matrix[1])
    along = np.ones(len(rows), bool) if wraps else (rows >= 0) & (rows < matrix[0])
    inner = np.zeros((matrix[0], len(images), matrix[1]), images.dtype)
    np.add.at(inner, rows[along] % matrix[0], images.transpose(1, 0, 2)[along][..., across])
    return inner.transpose(1, 0, 2)
