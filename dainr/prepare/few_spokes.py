"""The k-space centre from few spokes, too far apart to be gridded: what lies between them is filled in.

All patches of it lie in a small subspace (see `espirit`), so that coil images x satisfy W x = x. The samples are
explained by

    min_x  sum_j w_j |(F x)_j - y_j|^2 + |(1 - W) x|^2,

by conjugate gradients, and W is taken anew from x, a few times; the first x knows of no W, and is as small as explains
the samples (after Lustig & Pauly, Magn Reson Med 2010;64:457, and Haldar, IEEE TMI 2014;33:668).
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Complex, Float

from dainr.operators.nufft.coils import CoilNufft
from dainr.prepare.average import CALIBRATION_WIDTH
from dainr.prepare.density import bends, passes_centre
from dainr.prepare.espirit import agreement

KERNEL_WIDTH = 6
THRESHOLD = 0.05  # of the singular values: streaks are stronger than noise
ROUNDS, FIRST, ITERATIONS = 6, 10, 8  # times that W is taken, iterations before it is and with each
FIRST_SMALL, SMALL = 1e-2, 1e-3  # weight of |x|^2 before and then
REACH = 0.75  # calibration widths: how far from the centre samples are explained
PRECISION = 1e-4


def filled_width(trajectory: Float[np.ndarray, "readout sample 2"], matrix: tuple[int, int]) -> float:
    """How wide a centre, in samples of the field of view, spokes fill without gaps; infinite for what are no spokes."""
    if not passes_centre(trajectory) or bends(trajectory):
        return np.inf
    along = (trajectory[:, -1] - trajectory[:, 0]) * np.array(matrix)
    angle = np.sort(np.arctan2(along[:, 0], along[:, 1]) % np.pi)
    gap = np.diff(np.append(angle, angle[0] + np.pi)).max()
    return float(2 / gap)


def fill_kspace(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    size: tuple[int, int],
    matrix: tuple[int, int],
    widen: int,
) -> Complex[np.ndarray, "coil ky kx"]:
    """The central `size` samples of Cartesian k-space on `widen` times the field of view."""
    points = trajectory.reshape(-1, 2).astype(np.float64) * np.array(matrix) * widen
    radius = np.hypot(*points.T)
    reach = min(REACH * CALIBRATION_WIDTH * widen, min(size) // 2 - 1)
    near = radius <= reach
    weight = np.maximum(radius[near], 0.25)
    weight *= np.pi * reach**2 / (weight.sum() * size[0] * size[1])  # F^H w F is then one where k-space is full
    transform = CoilNufft(points[near] / np.array(size), size, len(kspace), PRECISION, "complex64")
    weight = weight.astype(np.float32)
    explained = transform.adjoint(kspace.reshape(len(kspace), -1)[:, near].astype(np.complex64) * weight)

    def normal(images: np.ndarray) -> np.ndarray:
        return transform.adjoint(transform.forward(images) * weight)

    images = _solve(lambda x: normal(x) + FIRST_SMALL * x, explained, np.zeros_like(explained), FIRST)
    for _ in range(ROUNDS):
        differs = _differs(_to_kspace(images), CALIBRATION_WIDTH * widen)
        images = _solve(lambda x, d=differs: normal(x) + _mix(d, x) + SMALL * x, explained, images, ITERATIONS)  # type: ignore[misc]
    return _to_kspace(images).astype(np.complex128)


def _differs(kspace: Complex[np.ndarray, "coil ky kx"], width: int) -> Complex[np.ndarray, "y x coil coil"]:
    """(1 - W)^H (1 - W) at every pixel."""
    one = torch.eye(len(kspace), dtype=torch.complex64)
    apart = one - agreement(torch.from_numpy(kspace), width, KERNEL_WIDTH, THRESHOLD)
    return (apart.mH @ apart).numpy()


def _mix(matrices: Complex[np.ndarray, "y x coil coil"], images: np.ndarray) -> Complex[np.ndarray, "coil y x"]:
    return np.ascontiguousarray(np.moveaxis((matrices @ np.moveaxis(images, 0, -1)[..., None])[..., 0], -1, 0))


def _to_kspace(images: Complex[np.ndarray, "coil y x"]) -> Complex[np.ndarray, "coil ky kx"]:
    shifted = np.fft.fft2(np.fft.ifftshift(images, axes=(1, 2)))
    return np.fft.fftshift(shifted, axes=(1, 2)).astype(np.complex64)


def _solve(
    normal: Callable[[np.ndarray], np.ndarray], target: np.ndarray, images: np.ndarray, iterations: int
) -> np.ndarray:
    """Conjugate gradients from these images."""
    residual = target - normal(images)
    direction, energy = residual.copy(), np.vdot(residual, residual).real
    for _ in range(iterations):
        if energy == 0:
            break
        applied = normal(direction)
        step = energy / np.vdot(direction, applied).real
        images = images + step * direction
        residual = residual - step * applied
        before, energy = energy, np.vdot(residual, residual).real
        direction = residual + energy / before * direction
    return images
