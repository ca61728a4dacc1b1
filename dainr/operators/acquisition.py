"""The acquisition operator A: coil maps, then the Fourier transform at each frame's own samples."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float, Integer
from torch import Tensor

from dainr.operators.cartesian_lines import make_cartesian
from dainr.operators.fourier import FourierOperator, frame_points
from dainr.operators.linear import LinearOperator
from dainr.operators.nufft import make_nufft


class Acquisition(LinearOperator):
    """Images `frame y x` to k-space `coil point`; the coil images of a few frames at a time are in memory."""

    maps: Tensor

    def __init__(self, maps: Complex[Tensor, "coil y x"], fourier: FourierOperator) -> None:
        super().__init__()
        self.register_buffer("maps", maps, persistent=False)
        self.fourier = fourier

    @property
    def n_frames(self) -> int:
        """Number of frames it measures."""
        return len(self.fourier.frames)

    def select(self, frames: Sequence[int]) -> "Acquisition":
        """The same operator for some frames only, in the given order."""
        return Acquisition(self.maps, self.fourier.select(frames))

    def with_maps(self, maps: Complex[Tensor, "coil y x"]) -> "Acquisition":
        """The same operator with other coil maps."""
        return Acquisition(maps, self.fourier)

    def measure(
        self, images: Complex[Tensor, "frame y x"], maps: Complex[Tensor, "coil y x"]
    ) -> Complex[Tensor, "coil point"]:
        """K-space of images seen through these coil maps, without autograd."""
        return self.fourier.measure(images, maps)

    def measure_adjoint(
        self, y: Complex[Tensor, "coil point"], maps: Complex[Tensor, "coil y x"], images: Complex[Tensor, "frame y x"]
    ) -> tuple[Complex[Tensor, "frame y x"], Complex[Tensor, "coil y x"] | None]:
        """Adjoint of `measure` with respect to the images, and with respect to the maps."""
        return self.fourier.measure_adjoint(y, maps, images)

    def _map(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "coil point"]:
        return self.fourier.measure(x, self.maps)

    def _map_adjoint(self, y: Complex[Tensor, "coil point"]) -> Complex[Tensor, "frame y x"]:
        return self.fourier.measure_adjoint(y, self.maps)[0]


def acquisition(
    coil_maps: Complex[np.ndarray, "coil y x"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    frame: Integer[np.ndarray, " readout"],
    n_frames: int,
    cartesian: bool,
    backend: str,
    device: torch.device,
) -> Acquisition:
    """The acquisition operator of readouts in frame order.

    On-grid data needs no NUFFT, whatever the backend. Raises MissingBackend when the named one is not installed.
    """
    maps = torch.from_numpy(np.ascontiguousarray(coil_maps)).to(device)
    matrix, n_coils = (maps.shape[1], maps.shape[2]), maps.shape[0]
    points = frame_points(trajectory, frame, n_frames)
    if cartesian:
        return Acquisition(maps, make_cartesian(points, matrix, n_coils, device))
    return Acquisition(maps, make_nufft(backend, points, matrix, n_coils, device))
