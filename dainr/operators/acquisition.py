"""The acquisition operator A: coil maps, then the Fourier transform at each frame's own samples."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float, Integer
from torch import Tensor

from dainr.operators.cartesian import CartesianOperator
from dainr.operators.coils import CoilOperator
from dainr.operators.fourier import FourierOperator, frame_points
from dainr.operators.linear import LinearOperator
from dainr.operators.nufft import make_nufft


class Acquisition(LinearOperator):
    """Images `frame y x` to k-space `coil point`.

    All coils of a frame are transformed in one call and the frames in turn, so that the coil images of one frame alone
    are in memory.
    """

    def __init__(self, coils: CoilOperator, fourier: FourierOperator) -> None:
        super().__init__()
        self.coils, self.fourier = coils, fourier

    @property
    def n_frames(self) -> int:
        """Number of frames it measures."""
        return len(self.fourier.frames)

    def select(self, frames: Sequence[int]) -> "Acquisition":
        """The same operator for some frames only, in the given order."""
        return Acquisition(self.coils, self.fourier.select(frames))

    def with_maps(self, maps: Complex[Tensor, "coil y x"]) -> "Acquisition":
        """The same operator with other coil maps."""
        return Acquisition(CoilOperator(maps), self.fourier)

    def _map(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "coil point"]:
        parts = [fourier._map(self.coils._map(image[None])) for image, fourier in zip(x, self._each(), strict=True)]
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]

    def _map_adjoint(self, y: Complex[Tensor, "coil point"]) -> Complex[Tensor, "frame y x"]:
        pieces = y.split([self.fourier.n_points[frame] for frame in self.fourier.frames], 1)
        images = [self.coils._map_adjoint(f._map_adjoint(p)) for p, f in zip(pieces, self._each(), strict=True)]
        return torch.cat(images)

    def _each(self) -> list[FourierOperator]:
        return [self.fourier.select([position]) for position in range(self.n_frames)]


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

    On-grid data takes the plain FFT whatever the backend. Raises MissingBackend when the named one is not installed.
    """
    maps = torch.from_numpy(np.ascontiguousarray(coil_maps)).to(device)
    matrix, n_coils = (maps.shape[1], maps.shape[2]), maps.shape[0]
    points = frame_points(trajectory, frame, n_frames)
    if cartesian:
        return Acquisition(CoilOperator(maps), CartesianOperator(points, matrix, n_coils, device))
    return Acquisition(CoilOperator(maps), make_nufft(backend, points, matrix, n_coils, device))
