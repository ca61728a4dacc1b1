"""Noise whitening: after it every coil carries independent noise of unit variance.

With the noise covariance Psi = L L^H, whitened samples are L^-1 y (Pruessmann et al., Magn Reson Med 2001;46:638).
"""

import numpy as np
from jaxtyping import Complex, Float

EDGE_FRACTION = 0.05  # of the samples, those farthest from the k-space centre
RELATIVE_FLOOR = 1e-6  # of the mean variance: keeps a dead coil from being divided by zero


def noise_covariance(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    noise: Complex[np.ndarray, "coil noise_sample"] | None,
) -> tuple[Complex[np.ndarray, "coil coil"], str]:
    """The coils' noise covariance and where it was taken from: a noise measurement, or else the k-space edge."""
    n_coils = len(kspace)
    if noise is not None and usable_noise(noise):
        samples, source = noise, "noise measurement"
    else:
        radius = np.hypot(trajectory[..., 0], trajectory[..., 1]).ravel()
        n_edge = min(max(int(EDGE_FRACTION * radius.size), 4 * n_coils), radius.size)
        edge = np.argpartition(radius, -n_edge)[-n_edge:]
        samples, source = (
            kspace.reshape(n_coils, -1)[:, edge],
            "k-space edge (no noise measurement in the file)",
        )
    samples = samples.astype(np.complex128)
    covariance = samples @ samples.conj().T / samples.shape[1]
    floor = RELATIVE_FLOOR * max(float(np.trace(covariance).real) / n_coils, np.finfo(float).tiny)
    return covariance + floor * np.eye(n_coils), source


def usable_noise(noise: Complex[np.ndarray, "coil noise_sample"]) -> bool:
    """Whether a noise measurement has samples enough for a covariance, and is not silent."""
    return noise.shape[1] >= 2 * len(noise) and bool(np.abs(noise).max() > 0)


def whiten(
    kspace: Complex[np.ndarray, "coil readout sample"], covariance: Complex[np.ndarray, "coil coil"]
) -> Complex[np.ndarray, "coil readout sample"]:
    """L^-1 applied over the coils."""
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return np.tensordot(whitening, kspace, axes=1).astype(np.complex64)


def whiten_maps(
    coil_maps: Complex[np.ndarray, "coil y x"], covariance: Complex[np.ndarray, "coil coil"]
) -> Complex[np.ndarray, "coil y x"]:
    """The maps the whitened coils have, at unit norm over the coils wherever they are not zero."""
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return unit_norm(np.tensordot(whitening, coil_maps, axes=1)).astype(np.complex64)


def unit_norm(maps: Complex[np.ndarray, "coil y x"]) -> Complex[np.ndarray, "coil y x"]:
    """Maps divided by their root sum of squares over the coils; zero stays zero."""
    norm = np.sqrt((np.abs(maps) ** 2).sum(0))
    return maps / np.maximum(norm, 1e-6 * max(float(norm.max()), np.finfo(float).tiny))
