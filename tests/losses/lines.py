"""A small scan of lines on the grid, for losses of networks."""

from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from dainr.operators import FrameData, acquisition
from dainr.operators.measured import Measurements
from tests.helper import random_complex

MATRIX = (10, 12)


def lines_scan(
    images: Tensor,
    lines: list[list[int]],
    maps: Tensor | None = None,
    noise: Tensor | None = None,
    noise_std: float = 0.0,
    cyclic: bool = True,
    n_central: int = 0,
    shared_pattern: bool = False,
) -> Measurements:
    """Images `frame y x` measured at lines ky of each frame, the first `n_central` of them as group 0."""
    n_frames, ny, nx = images.shape
    kx = (np.arange(nx) - nx // 2) / nx
    readouts = [np.stack([np.full(nx, (ky - ny // 2) / ny), kx], 1) for frame in lines for ky in frame]
    frame = np.repeat(np.arange(n_frames), [len(each) for each in lines])
    maps = torch.ones(1, ny, nx, dtype=torch.complex64) if maps is None else maps
    operator = acquisition(
        maps.numpy(), np.stack(readouts).astype(np.float32), frame, n_frames, True, "auto", torch.device("cpu")
    )
    kspace = operator(images)
    if noise is not None:
        kspace = kspace + noise
    groups = [max(i - max(n_central - 1, 0), 0) for each in lines for i in range(len(each))]
    data = FrameData(
        kspace=kspace,
        density=torch.ones(kspace.shape[1]),
        times=torch.arange(float(n_frames)),
        operator=operator,
        frames=tuple(map(float, range(n_frames))),
        starts=tuple(accumulate((nx * len(each) for each in lines), initial=0)),
    )
    group = torch.tensor(groups).repeat_interleave(nx)
    return Measurements(data, group, torch.ones_like, noise_std, cyclic, n_central > 0, shared_pattern)


def some_scan(**settings: object) -> Measurements:
    """Four frames of two coils; six lines each, of which two are the centre."""
    lines = [[4, 5, *np.random.default_rng(t).choice([0, 1, 2, 3, 6, 7, 8, 9], 4, replace=False)] for t in range(4)]
    maps = random_complex(2, *MATRIX, seed=7)
    defaults = {"noise_std": 0.1, "n_central": 2}
    return lines_scan(random_complex(4, *MATRIX), lines, maps, **(defaults | settings))  # type: ignore[arg-type]
