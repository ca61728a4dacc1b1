"""What every Fourier operator shares: which samples belong to which frame.

    y[c, j] = 1 / sqrt(ny nx) * sum_r x[f(j), c, r] exp(-2 pi i k_j . r)

r is the pixel index less n // 2, k in cycles per pixel. Each frame has its own samples, and as many as it likes.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.kernels.coil_sums import combine
from dainr.operators.linear import LinearOperator

# coil image elements held at a time: what the caches of a processor hold, what keeps a graphics card busy
ELEMENTS_AT_A_TIME, ON_A_CARD = 2**20, 2**25


class FourierOperator(LinearOperator):
    """Coil images `frame coil y x` to k-space `coil point`, the points of one frame after another.

    Subclasses keep what they need of the points of every frame (`_set_up`), and transform a frame with `_frame` and
    `_frame_adjoint`, or all with `_map` and `_map_adjoint`; those that can do better than coil images in memory have
    their own `measure` and `measure_adjoint`.
    """

    def __init__(
        self,
        points: Sequence[Float[np.ndarray, "_ 2"]],
        matrix: tuple[int, int],
        n_coils: int,
        device: torch.device,
    ) -> None:
        """`points` (ky, kx) of every frame in cycles per pixel, for images of `matrix` (ny, nx)."""
        super().__init__()
        self.matrix = matrix
        self.n_points = [len(p) for p in points]
        self.frames = list(range(len(points)))
        self.norm = float(np.sqrt(matrix[0] * matrix[1]))  # of sums over pixels, to make them orthonormal
        self._set_up(points, n_coils, device)

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        """Work out once, on the device, what every transform needs; nothing here."""

    def select(self, frames: Sequence[int]) -> "FourierOperator":
        """The same operator for some frames only, in the given order; it shares the plans."""
        chosen = object.__new__(type(self))
        chosen.__dict__.update(self.__dict__)
        chosen.frames = [self.frames[f] for f in frames]
        return chosen

    def measure(
        self, images: Complex[Tensor, "frame y x"], maps: Complex[Tensor, "coil y x"]
    ) -> Complex[Tensor, "coil point"]:
        """k-space of images seen through coil maps, without autograd; coil images of a few frames at a time."""
        chunks = self._chunks(maps.numel(), _at_a_time(maps.device))
        parts = [self._part(chosen)._map(images[chosen, None] * maps) for chosen in chunks]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def measure_adjoint(
        self,
        y: Complex[Tensor, "coil point"],
        maps: Complex[Tensor, "coil y x"],
        images: Complex[Tensor, "frame y x"] | None = None,
    ) -> tuple[Complex[Tensor, "frame y x"], Complex[Tensor, "coil y x"] | None]:
        """Adjoint of `measure` with respect to the images and, where these are given, with respect to the maps."""
        of_images = y.new_empty(len(self.frames), *self.matrix)
        of_maps, first = None if images is None else maps.new_zeros(maps.shape), 0
        for chosen in self._chunks(maps.numel(), _at_a_time(maps.device)):
            operator = self._part(chosen)
            last = first + sum(self.n_points[frame] for frame in operator.frames)
            seen = None if images is None else images[chosen]
            of_images[chosen] = combine(operator._map_adjoint(y[:, first:last]), maps, seen, of_maps)
            first = last
        return of_images, of_maps

    def _part(self, chosen: slice) -> "FourierOperator":
        return self.select(range(len(self.frames))[chosen])

    def _chunks(self, elements_a_frame: int, at_a_time: int) -> list[slice]:
        """The frames, as many at a time as have so many elements."""
        size, n = max(1, at_a_time // elements_a_frame), len(self.frames)
        return [slice(first, min(first + size, n)) for first in range(0, n, size)]

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


def _at_a_time(device: torch.device) -> int:
    return ELEMENTS_AT_A_TIME if device.type == "cpu" else ON_A_CARD


def frame_points(
    trajectory: Float[np.ndarray, "readout sample 2"], frame: np.ndarray, n_frames: int
) -> list[Float[np.ndarray, "point 2"]]:
    """The k-space points of every frame, for readouts in frame order."""
    return [trajectory[frame == f].reshape(-1, 2).astype(np.float64) for f in range(n_frames)]
