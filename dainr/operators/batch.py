"""What a model and a loss see of the scan in one step, the data it is taken from, and the contract a model fulfils."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.acquisition import Acquisition


@dataclass(frozen=True, eq=False)
class Batch:
    """Some frames of one slice: their times, and their samples with the operator that measures them.

    A neural field reads only `frames` or `times`; an unrolled network reads the samples and the operator as well.
    """

    frames: tuple[float, ...]  # numbers in the series; fractions where readouts are measured at their own times
    times: Float[Tensor, " frame"]  # s
    kspace: Complex[Tensor, "coil point"]
    density: Float[Tensor, " point"]
    operator: Acquisition  # image `frame y x` to `coil point`
    progress: float = 1.0  # share of the fit's budget spent before this step
    counts: tuple[int, ...] = ()  # points of each frame

    @cached_property
    def clock(self) -> Float[Tensor, ""]:
        """The progress on the device, for what changes from step to step without changing what is computed."""
        return torch.full((), self.progress, device=self.density.device)


@dataclass(frozen=True, eq=False)
class FrameData:
    """The measured samples of some readouts of one slice, frame by frame, and the operator that measures them."""

    kspace: Tensor  # coil, point
    density: Tensor  # point
    times: Tensor  # frame, s
    operator: Acquisition
    frames: tuple[float, ...]  # numbers in the series of the frames, or subframes between them, that have readouts here
    starts: tuple[int, ...]  # frame -> first point, and the end

    def batch(self, positions: Sequence[int] | None = None, progress: float = 1.0) -> Batch:
        """Some frames by their positions among those that have readouts, or all of them."""
        counts = [b - a for a, b in pairwise(self.starts)]
        if positions is None or list(positions) == list(range(len(self.frames))):
            return Batch(self.frames, self.times, self.kspace, self.density, self.operator, progress, tuple(counts))
        points = [slice(self.starts[p], self.starts[p + 1]) for p in positions]
        return Batch(
            frames=tuple(self.frames[p] for p in positions),
            times=self.times[list(positions)],
            kspace=torch.cat([self.kspace[:, part] for part in points], 1),
            density=torch.cat([self.density[part] for part in points]),
            operator=self.operator.select(positions),
            progress=progress,
            counts=tuple(counts[p] for p in positions),
        )


@runtime_checkable
class FrameModel(Protocol):
    """Anything that turns a batch into images `frame y x`, complex."""

    def __call__(self, batch: Batch) -> Complex[Tensor, "frame y x"]:
        """Images of the frames of a batch."""
        ...


@runtime_checkable
class RefinesCoilMaps(Protocol):
    """A model that corrects the coil maps together with the image."""

    def coil_maps(self) -> Complex[Tensor, "coil y x"]:
        """The corrected maps, of unit norm over the coils."""
        ...
