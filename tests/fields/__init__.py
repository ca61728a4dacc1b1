"""A batch as a field sees it."""

from collections.abc import Sequence

import torch

from dainr.operators import Acquisition, Batch
from dainr.operators.fourier import FourierOperator


def batch(times: Sequence[float], frames: Sequence[int] | None = None) -> Batch:
    """A batch without samples: a field reads the times or the frames only."""
    nothing = torch.zeros(1, 0, dtype=torch.complex64)
    operator = Acquisition(nothing[..., None], FourierOperator([], (0, 1), 1, torch.device("cpu")))
    return Batch(tuple(map(float, frames or [0] * len(times))), torch.tensor(times), nothing, torch.zeros(0), operator)
