"""A shift in time by whole frames: y_t = x_{t - s}."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex
from torch import Tensor


@dataclass(frozen=True)
class TimeShift:
    """The series `frames` later.

    A cyclic one goes on with its first frame after the last. Any other turns back at its ends (.. 2 1 0 1 2 ..), so
    that each step is one that was measured; frames that were shifted out do not come back with the inverse.
    """

    frames: int
    cyclic: bool
    inside = None

    def __call__(self, images: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        """The shifted series."""
        if self.cyclic:
            return torch.roll(images, self.frames, 0)
        last = max(len(images) - 1, 1)
        wanted = [(t - self.frames) % (2 * last) for t in range(len(images))]
        return images[[t if t <= last else 2 * last - t for t in wanted]] if len(images) > 1 else images

    def inverse(self) -> "TimeShift":
        """As many frames earlier."""
        return TimeShift(-self.frames, self.cyclic)
