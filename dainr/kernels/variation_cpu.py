"""The priors of a series on the CPU: value and gradient in one compiled pass, a third of the memory traffic.

Rows are shared among the threads; each writes its own part and its own share of the value, so that the result is the
same from run to run. Magnitudes are summed column by column: sums side by side are vectorised, one sum is not.
"""

from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from dainr.kernels.compiling import as_lanes, inner, kernel, share_threads


def temporal_cpu(series: Tensor, cyclic: bool, rounding: float, weight: Tensor) -> tuple[Tensor, Tensor]:
    """The temporal variation of `frame y x` and its gradient; `weight`: of every step to the next frame."""
    return _run(_temporal, series, rounding, weight.numpy(), cyclic)


def spatial_cpu(series: Tensor, rounding: float, weight: float) -> tuple[Tensor, Tensor]:
    """The weighted spatial variation of `frame y x` and its gradient."""
    return _run(_spatial, series, rounding, weight)


def magnitude_cpu(series: Tensor, rounding: float, weight: float) -> tuple[Tensor, Tensor]:
    """The weighted sum of the magnitudes of `frame y x` and its gradient."""
    return _run(_magnitude, series, rounding, weight)


def _run(
    kernel: Any, series: Tensor, rounding: float, weight: float | np.ndarray, *options: bool
) -> tuple[Tensor, Tensor]:
    x = as_lanes(series)
    gradient = torch.empty_like(series, memory_format=torch.contiguous_format)
    weight = x.dtype.type(weight) if isinstance(weight, float) else weight.astype(x.dtype)
    share_threads()
    sums = kernel(x, x.dtype.type(rounding**2), weight, as_lanes(gradient), *options)
    return torch.tensor(sums.sum(dtype=np.float64), dtype=series.real.dtype), gradient


@kernel
def _temporal(series, square, weight, gradient, cyclic):  # type: ignore[no-untyped-def]
    n_frames, ny, n = series.shape
    sums = np.zeros((ny, n // 2), series.dtype)
    for y in prange(ny):
        before, step, size = np.zeros(n, series.dtype), np.empty(n, series.dtype), np.empty(n // 2, series.dtype)
        for t in range(n_frames):
            after = t + 1 if t + 1 < n_frames else 0
            if after or cyclic:
                _unit(series[after, y], series[t, y], square, weight[t], step, size, sums[y])
            else:
                step[:] = 0
            for x in range(n):
                gradient[t, y, x] = before[x] - step[x]
                before[x] = step[x]
        for x in range(n):
            gradient[0, y, x] += before[x]
    return sums


@inner
def _unit(there, here, square, weight, step, size, sums):  # type: ignore[no-untyped-def]
    """Weighted differences over their magnitudes, which are summed, weighted; one idea a loop: each is vectorised."""
    for x in range(len(step)):
        step[x] = there[x] - here[x]
    for x in range(len(size)):
        size[x] = step[2 * x] * step[2 * x] + step[2 * x + 1] * step[2 * x + 1] + square
    for x in range(len(size)):
        size[x] = np.sqrt(size[x])
        sums[x] += weight * size[x]
        size[x] = weight / size[x]
    for x in range(len(size)):
        step[2 * x] *= size[x]
        step[2 * x + 1] *= size[x]


@kernel
def _magnitude(series, square, weight, gradient):  # type: ignore[no-untyped-def]
    n_frames, ny, n = series.shape
    sums = np.zeros((ny, n // 2), series.dtype)
    for y in prange(ny):
        nothing, size = np.zeros(n, series.dtype), np.empty(n // 2, series.dtype)
        for t in range(n_frames):
            _unit(series[t, y], nothing, square, weight, gradient[t, y], size, sums[y])
    return sums


@kernel
def _spatial(series, square, weight, gradient):  # type: ignore[no-untyped-def]
    n_frames, ny, n = series.shape
    sums = np.zeros((n_frames, n // 2), series.dtype)
    for t in prange(n_frames):
        above, down, across = np.zeros(n, series.dtype), np.zeros(n, series.dtype), np.zeros(n, series.dtype)
        size = np.empty(n // 2, series.dtype)
        for y in range(ny):
            here, there = series[t, y], series[t, min(y + 1, ny - 1)]
            for x in range(n):
                down[x] = there[x] - here[x]
            for x in range(n - 2):
                across[x] = here[x + 2] - here[x]
            for x in range(len(size)):
                size[x] = down[2 * x] * down[2 * x] + down[2 * x + 1] * down[2 * x + 1] + square
                size[x] += across[2 * x] * across[2 * x] + across[2 * x + 1] * across[2 * x + 1]
            for x in range(len(size)):
                size[x] = np.sqrt(size[x])
                sums[t, x] += weight * size[x]
                size[x] = weight / size[x]
            for x in range(len(size)):
                down[2 * x] *= size[x]
                down[2 * x + 1] *= size[x]
                across[2 * x] *= size[x]
                across[2 * x + 1] *= size[x]
            out = gradient[t, y]
            for x in range(n):
                out[x] = above[x] - down[x] - across[x]
                above[x] = down[x]
            for x in range(n - 2):
                out[x + 2] += across[x]
    return sums
