"""What every fitted field can do, whatever it is made of."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from dainr.networks.condition import FeatureMaps


class DynamicField(nn.Module, ABC):
    """A cine as a function of position and time. `frame_times` (s, increasing) are those of the fitted frames.

    `times` are the same, where the program counts with them: a device is not to be waited for.
    """

    frame_times: Tensor
    times: tuple[float, ...]
    matrix: tuple[int, int]
    features: FeatureMaps | None

    def __init__(self, frame_times: Sequence[float], matrix: tuple[int, int]) -> None:
        super().__init__()
        self.matrix, self.features, self.times = matrix, None, tuple(frame_times)
        self.register_buffer("frame_times", torch.tensor(frame_times, dtype=torch.float64))

    @abstractmethod
    def render(self, times: Sequence[float], matrix: tuple[int, int]) -> Complex[Tensor, "frame y x"]:
        """Images at any times (s) on a matrix (ny, nx) over the same field of view.

        Times before the first or after the last fitted frame show that frame.
        """

    @property
    def deforms(self) -> bool:
        """Whether it carries anything: a field may have been fitted without a deformation."""
        return True

    @abstractmethod
    def displacement(self, frames: Sequence[float], matrix: tuple[int, int]) -> Float[Tensor, "frame 2 y x"]:
        """From every pixel of a frame to its place in canonical space, (x, y) in pixels of the matrix.

        Frames are fractional numbers in the series.
        """
