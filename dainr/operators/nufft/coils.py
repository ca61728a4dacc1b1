"""NUFFT of all coils at one set of points, on arrays: for what is worked out once, before a fit.

x_hat[c, j] = sum_r x[c, r] exp(-2 pi i k_j . r), and its adjoint; no factor makes them orthonormal.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Complex, Float

from dainr.operators.nufft.gridded import GriddedNufft

try:
    import finufft
except (ImportError, OSError):  # it has no wheel for every platform
    finufft = None

ONE_COIL_A_THREAD = 2  # finufft's spread_thread


def threads_for(n_coils: int) -> int:
    """As many threads as share the coils evenly: those that share a coil would add up in the order they come."""
    return max(n for n in range(1, torch.get_num_threads() + 1) if n_coils % n == 0)


class CoilNufft:
    """FINUFFT's transform between images `coil y x` and samples `coil point`, to a tolerance, in the type given.

    Where FINUFFT is not installed, one in numpy and scipy takes its place: slower, as exact.
    """

    def __init__(
        self,
        points: Float[np.ndarray, "point 2"],
        shape: tuple[int, ...],
        n_coils: int,
        tolerance: float = 1e-6,
        dtype: str = "complex128",
    ) -> None:
        """`points` (ky, kx) in cycles per pixel of images of `shape` (y, x)."""
        self.shape, self.n_coils, self.dtype = shape, n_coils, np.dtype(dtype)
        self._gridded = None if finufft is not None else GriddedNufft(points, shape, tolerance)
        if finufft is not None:
            self._angles = np.ascontiguousarray(2 * np.pi * points.T.astype(self.dtype.type().real.dtype))
            kinds = ((2, -1), (1, 1))
            how = {"spread_thread": ONE_COIL_A_THREAD, "nthreads": threads_for(n_coils)}
            self._plans = [finufft.Plan(kind, shape, n_coils, tolerance, sign, dtype, **how) for kind, sign in kinds]
            for plan in self._plans:
                plan.setpts(*self._angles)

    def forward(self, images: Complex[np.ndarray, "coil y x"]) -> Complex[np.ndarray, "coil point"]:
        """Samples of the images."""
        if self._gridded is not None:
            return self._gridded.forward(images).astype(self.dtype)
        return self._execute(self._plans[0], images).reshape(self.n_coils, -1)

    def adjoint(self, samples: Complex[np.ndarray, "coil point"]) -> Complex[np.ndarray, "coil y x"]:
        """The adjoint of `forward`."""
        if self._gridded is not None:
            return self._gridded.adjoint(samples).astype(self.dtype)
        return self._execute(self._plans[1], samples).reshape(self.n_coils, *self.shape)

    def _execute(self, plan: Any, data: np.ndarray) -> np.ndarray:
        array = np.ascontiguousarray(data, self.dtype)
        return plan.execute(array[0] if self.n_coils == 1 else array)
