"""Noise whitening: after it every coil carries independent noise of unit variance.

With the noise covariance Psi = L L^H, whitened samples are L^-1 y (Pruessmann et al., Magn Reson Med 2001;46:638).
"""

import numpy as np
from jaxtyping import Complex, Float

from dainr.scan import usable_noise

EDGE_FRACTION = 0.05  # of the samples, those farthest from the k-space centre
BEYOND, FLAT = 1.1, 0.46  # half diagonals of the image; share of the readout's whole field of view
LEAST = 1e-3  # of the edge's power
PLACE = 1e-4  # cycles per pixel: samples as near as this are at one place
RELATIVE_FLOOR = 1e-6  # of the mean variance: keeps a dead coil from being divided by zero


def noise_covariance(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    noise: Complex[np.ndarray, "coil noise_sample"] | None,
    matrix: tuple[int, int],
) -> tuple[Complex[np.ndarray, "coil coil"], str]:
    """The coils' noise covariance and where it was taken from: a noise measurement, or else the scan itself.

    There the k-space edge holds little signal; changes from frame to frame, where places were measured repeatedly,
    hold less; and what oversampled readouts show far beyond the field of view holds hardly any. The weakest is taken.
    Readouts are in frame order.
    """
    n_coils = len(kspace)
    if noise is not None and usable_noise(noise):
        samples, source = noise, "noise measurement"
    else:
        y, radius = kspace.reshape(n_coils, -1), np.hypot(trajectory[..., 0], trajectory[..., 1]).ravel()
        n_edge = min(max(int(EDGE_FRACTION * radius.size), 4 * n_coils), radius.size)
        found = {"k-space edge": y[:, np.argpartition(radius, -n_edge)[-n_edge:]]}
        others = {
            "changes at the k-space edge": _changes(y, trajectory.reshape(-1, 2), radius, n_edge),
            "readouts beyond the field of view": _beyond(kspace, trajectory, matrix),
        }
        found |= {name: s for name, s in others.items() if s.shape[1] >= max(n_edge // 4, 4 * n_coils)}
        power = {name: float((np.abs(s.astype(np.complex128)) ** 2).mean()) for name, s in found.items()}
        least = LEAST * power["k-space edge"]  # what is weaker was set to zero, by a filter or a simulation
        weakest = min((name for name in power if power[name] >= least), key=power.__getitem__)
        samples, source = found[weakest], f"{weakest} (no noise measurement in the file)"
    samples = samples.astype(np.complex128)
    covariance = samples @ samples.conj().T / samples.shape[1]
    floor = RELATIVE_FLOOR * max(float(np.trace(covariance).real) / n_coils, np.finfo(float).tiny)
    return covariance + floor * np.eye(n_coils), source


def _changes(y: np.ndarray, trajectory: np.ndarray, radius: np.ndarray, count: int) -> np.ndarray:
    """Differences of samples at one place, `coil pair`, their noise that of one sample: the outermost `count`.

    Half of a place's samples lie between the two, for neighbouring frames may have been interpolated from each other.
    """
    key = np.rint(trajectory / PLACE).astype(np.int64) @ [1 << 20, 1]
    order = np.argsort(key, kind="stable")
    _, start, n = np.unique(key[order], return_index=True, return_counts=True)
    rank, half = np.arange(len(key)) - np.repeat(start, n), np.repeat(n // 2, n)
    at = np.flatnonzero(rank < half)
    first, second = order[at], order[at + half[at]]
    outer = np.argsort(radius[first], kind="stable")[-count:]
    changes = (y[:, second[outer]] - y[:, first[outer]]) / np.float32(np.sqrt(2))
    return changes[:, (changes != 0).any(0)]  # frames may share readouts


def _beyond(kspace: np.ndarray, trajectory: np.ndarray, matrix: tuple[int, int]) -> np.ndarray:
    """What straight readouts see beyond the corners of the field of view, `coil place`, its noise that of one sample.

    Not as far as where the receiver's filter begins to fall. The window keeps signal from leaking there.
    """
    steps = np.diff(trajectory, axis=1)
    if not steps.size or np.abs(steps - steps[:, :1]).max() > PLACE:
        return kspace[:, :0, 0]
    window = np.hanning(kspace.shape[2] + 2)[1:-1].astype(np.float32)
    seen = np.fft.fft(kspace * (window / np.linalg.norm(window)), axis=2)
    place = np.abs(np.fft.fftfreq(kspace.shape[2]))  # in lengths of the whole readout's field of view
    pixels = place / np.linalg.norm(steps[:, 0], axis=1).clip(min=PLACE)[:, None]
    return seen[:, (pixels > BEYOND * 0.5 * np.hypot(*matrix)) & (place < FLAT)]


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
