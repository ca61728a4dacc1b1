"""Smooth coil maps as short Fourier series, so that a coil-weighted ellipse still has a closed-form transform.

    S_c(r) = sum_q a_cq exp(2 pi i q . r / 2),   r in fields of view, q in {-2 .. 2}^2

The period of two fields of view leaves the maps free to differ at opposite edges. Where tissue crosses the edges, the
whole object stands for the field of view here: the coils lie around it, and the maps hold beyond the edges.
"""

import numpy as np
from jaxtyping import Complex, Float

HARMONICS = 2
PERIOD = 2.0  # fields of view


def harmonics() -> Float[np.ndarray, "term 2"]:
    """The spatial frequencies q / 2 (y, x), in cycles per field of view."""
    q = np.arange(-HARMONICS, HARMONICS + 1) / PERIOD
    return np.stack(np.meshgrid(q, q, indexing="ij"), -1).reshape(-1, 2)


def coil_coefficients(n_coils: int, random: np.random.Generator) -> Complex[np.ndarray, "coil term"]:
    """Series of surface coils around the body: least squares to Gaussians that look inwards from a ring."""
    axis = np.linspace(-0.5, 0.5, 25)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    basis = np.exp(2j * np.pi * np.stack([y.ravel(), x.ravel()], 1) @ harmonics().T)
    rows = []
    for coil in range(n_coils):
        angle = 2 * np.pi * (coil + 0.2 * random.uniform(-1, 1)) / n_coils
        distance = np.hypot(y - 0.52 * np.sin(angle), x - 0.58 * np.cos(angle))
        turn = random.uniform(-1, 1, 2)
        target = np.exp(-((distance / 0.55) ** 2) + 1j * (angle + turn[0] * y + turn[1] * x))
        smooth = basis.conj().T @ basis + 1e-3 * np.eye(basis.shape[1])
        rows.append(np.linalg.solve(smooth, basis.conj().T @ target.ravel()))
    return np.array(rows)


def coil_maps(
    coefficients: Complex[np.ndarray, "coil term"], matrix: tuple[int, int]
) -> Complex[np.ndarray, "coil y x"]:
    """The maps on the pixels of a matrix; pixel n // 2 is the origin."""
    axes = [(np.arange(n) - n // 2) / n for n in matrix]
    y, x = np.meshgrid(*axes, indexing="ij")
    basis = np.exp(2j * np.pi * np.stack([y.ravel(), x.ravel()], 1) @ harmonics().T)
    return (coefficients @ basis.T).reshape(-1, *matrix)
