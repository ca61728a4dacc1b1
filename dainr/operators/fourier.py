"""What every Fourier operator shares: which samples belong to which frame.

    y[c, j] = 1 / sqrt(ny nx) * sum_r x[f(j), c, r] exp(-2 pi i k_j . r)

r is the pixel index less n // 2, k in cycles per pixel. Each frame has its own samples, and as many as it likes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.linear import LinearOperator


class FourierOperator(LinearOperator):
    """Coil images `frame coil y x` to k-space `coil point`, the points of one frame after another.

    Subclasses hold one plan per frame in `plans` and transform with `_frame` and `_frame_adjoint`.
    """

    def __init__(self, matrix: tuple[int, int], n_points: Sequence[int]) -> None:
        super().__init__()
        self.matrix = matrix
        self.n_points = list(n_points)
        self.frames = list(range(len(self.n_points)))

    def select(self, frames: Sequence[int]) -> "FourierOperator":
        """The same operator for some frames only, in the given order; it shares the plans."""
        chosen = object.__new__(type(self))
        chosen.__dict__.update(self.__dict__)
        chosen.frames = [self.frames[f] for f in frames]
        return chosen

    def _map(self, x: Complex[Tensor, "frame coil y x"]) -> Complex[Tensor, "coil point"]:
        parts = [self._frame(x[i], frame) for i, frame in enumerate(self.frames)]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def _map_adjoint(self, y: Complex[Tensor, "coil point"]) -> Complex[Tensor, "frame coil y x"]:
        pieces = y.split([self.n_points[frame] for frame in self.frames], 1)
        return torch.stack([self._frame_adjoint(p, frame) for p, frame in zip(pieces, self.frames, strict=True)])

    def _frame(self, x: Complex[Tensor, "coil y x"], frame: int) -> Complex[Tensor, "coil point"]:
        raise TypeError(f"{type(self).__name__} transforms no frame")

    def _frame_adjoint(self, y: Complex[Tensor, "coil point"], frame: int) -> Complex[Tensor, "coil y x"]:
        raise TypeError(f"{type(self).__name__} transforms no frame back")


def frame_points(
    trajectory: Float[np.ndarray, "readout sample 2"], frame: np.ndarray, n_frames: int
) -> list[Float[np.ndarray, "point 2"]]:
    """The k-space points of every frame, for readouts in frame order."""
    return [trajectory[frame == f].reshape(-1, 2).astype(np.float64) for f in range(n_frames)]
