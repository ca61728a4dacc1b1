"""The Huber loss of residuals on the CPU: value and gradient in one compiled pass.

Points are shared among the threads, some at a time; values of the coils are summed point by point, so that the result
is the same from run to run.
"""

import numpy as np
import torch
from numba import prange
from torch import Tensor

from dainr.kernels.compiling import as_lanes, kernel, share_threads

POINTS_AT_A_TIME = 1024


def huber_cpu(samples: Tensor, kspace: Tensor, weight: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
    """sum_j w_j h(|r_j|), r: samples less k-space, both `coil point`; w r h'(|r|) / |r| takes the samples' place.

    Also sum_c |r|^2 of every point.
    """
    values, squares = np.zeros(len(weight), np.float32), np.zeros(len(weight), np.float32)
    assert samples.is_contiguous()
    share_threads()
    of_points = weight.contiguous().numpy(), threshold.contiguous().numpy()
    _huber(as_lanes(samples), as_lanes(kspace), *of_points, values, squares)
    return torch.tensor(values.sum(dtype=np.float64), dtype=torch.float32), torch.from_numpy(squares)


@kernel
def _huber(samples, kspace, weight, threshold, values, squares):  # type: ignore[no-untyped-def]
    n_coils, n = len(samples), len(weight)
    tiny, half = np.float32(np.finfo(np.float32).tiny), np.float32(0.5)
    for block in prange((n + POINTS_AT_A_TIME - 1) // POINTS_AT_A_TIME):
        first = block * POINTS_AT_A_TIME
        last = min(first + POINTS_AT_A_TIME, n)
        w, limit, value, square = weight[first:last], threshold[first:last], values[first:last], squares[first:last]
        size = np.empty(last - first, np.float32)
        for coil in range(n_coils):
            r, y = samples[coil, 2 * first : 2 * last], kspace[coil, 2 * first : 2 * last]
            for x in range(len(r)):
                r[x] -= y[x]
            for x in range(len(size)):
                size[x] = r[2 * x] * r[2 * x] + r[2 * x + 1] * r[2 * x + 1]
                square[x] += size[x]
            for x in range(len(size)):
                size[x] = np.sqrt(size[x])
            for x in range(len(size)):
                near = limit[x] if size[x] > limit[x] else size[x]  # NaN stays NaN
                value[x] += w[x] * near * (size[x] - half * near)
                size[x] = w[x] * near / (size[x] if size[x] > tiny else tiny)
            for x in range(len(size)):
                r[2 * x] *= size[x]
                r[2 * x + 1] *= size[x]
