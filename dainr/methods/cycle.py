"""Whether a series is one cycle, whose last frame leads to the first."""

from typing import Literal

import torch
from jaxtyping import Complex
from torch import Tensor
from torch.nn import functional

from dainr.prepare import Prepared

Cyclic = Literal["auto", "yes", "no"]  # auto: by the binning or the data


def is_cyclic(asked: Cyclic, prepared: Prepared, gridded: Complex[Tensor, "frame y x"]) -> bool:
    """Whether the last frame leads to the first: as it was set, or as the binning says, or as the frames look."""
    known = {"yes": True, "no": False, "auto": prepared.cyclic}[asked]
    return closes_cycle(gridded) if known is None else known


def closes_cycle(frames: Complex[Tensor, "frame y x"]) -> bool:
    """Whether the last frame leads to the first as one frame to the next: their blurred magnitudes differ no more."""
    if len(frames) < 4:
        return False
    blurred = functional.adaptive_avg_pool2d(
        frames.abs()[:, None], (max(1, frames.shape[1] // 8), max(1, frames.shape[2] // 8))
    )
    steps = (torch.roll(blurred, -1, 0) - blurred).flatten(1).norm(dim=1)
    return bool(steps[-1] <= steps[:-1].max())
