"""How a displacement stretches: its gradient, the area it gives to a pixel, and where it folds."""

import numpy as np
from jaxtyping import Float


def gradient(displacement: Float[np.ndarray, "*frame 2 y x"]) -> Float[np.ndarray, "*frame 2 2 y x"]:
    """Deformation gradient F = I + grad d, by central differences; `[i, j]` is how place i (x, y) changes along j."""
    found = np.stack([np.gradient(displacement, axis=-1), np.gradient(displacement, axis=-2)], -3)
    for i in range(2):
        found[..., i, i, :, :] += 1
    return found


def determinant(displacement: Float[np.ndarray, "*frame 2 y x"]) -> Float[np.ndarray, "*frame y x"]:
    """Jacobian determinant of x -> x + d(x): area after over area before. It is folded where that is not positive."""
    f = gradient(displacement)
    return f[..., 0, 0, :, :] * f[..., 1, 1, :, :] - f[..., 0, 1, :, :] * f[..., 1, 0, :, :]
