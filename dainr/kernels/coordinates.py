"""Where pixels and frames are in the coordinates of a field."""

import math
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=8)
def pixel_coordinates(matrix: tuple[int, int], device: torch.device) -> Float[Tensor, "point 2"]:
    """Centres (x, y) of the pixels of a field of view that spans [-1, 1] in both directions; kept, so not to change."""
    axes = [(torch.arange(n, device=device) + 0.5) / n * 2 - 1 for n in matrix]
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x.reshape(-1), y.reshape(-1)], 1)


def frame_number(frame_times: Sequence[float], time: float) -> float:
    """The fractional frame number of a time in s; before the first frame and after the last, that frame's."""
    if time >= frame_times[-1] or len(frame_times) == 1:
        return float(len(frame_times) - 1)
    after = max(sum(t <= time for t in frame_times), 1)
    before = frame_times[after - 1]
    return after - 1 + max(time - before, 0.0) / (frame_times[after] - before)


def even_times(frame_times: Sequence[float], n: int) -> list[float]:
    """`n` times from the first frame to the last, evenly spaced in frames."""
    last = len(frame_times) - 1
    times = []
    for i in range(n):
        frame = i * last / max(n - 1, 1)
        before = min(math.floor(frame), max(last - 1, 0))
        after = min(before + 1, last)
        times.append(frame_times[before] + (frame - before) * (frame_times[after] - frame_times[before]))
    return times
