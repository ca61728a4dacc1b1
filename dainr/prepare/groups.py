"""Readouts in groups, for networks that see some of a frame's readouts and are judged by the others."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Integer
from scipy.ndimage import uniform_filter
from torch import Tensor

from dainr.operators.batch import FrameData
from dainr.operators.crowding import Crowding
from dainr.operators.measured import Measurements
from dainr.prepare.frame_data import readouts_in_order
from dainr.prepare.prepared import Prepared

CENTRE_LINES = 2  # from the k-space centre: lines as near are calibration, which every choice of groups keeps
NEARBY = 9  # lines, or cells a side, whose occurrence is taken together


def measurements(prepared: Prepared, data: FrameData, cyclic: bool, largest: float | None = None) -> Measurements:
    """The readouts of a prepared slice that are not held out, each a group of its own.

    `data` are theirs; `largest` is the largest eigenvalue of A^H W A, where it is known. On the grid the lines at the
    k-space centre are one group together, the first of every frame.
    """
    order = readouts_in_order(prepared, ~prepared.held_out)
    trajectory, frame = prepared.trajectory[order], prepared.frame[order]
    central = np.zeros(len(order), bool)
    if prepared.cartesian:
        central = np.abs(trajectory[:, :, 0] * prepared.matrix[0]).max(1) < CENTRE_LINES + 0.5
    group = np.zeros(len(order), np.int64)
    for number in np.unique(frame):
        mine = frame == number
        group[mine & ~central] = np.arange(np.count_nonzero(mine & ~central)) + int(prepared.cartesian)
    occurrence, cells = None, None
    if prepared.cartesian:  # of spokes and spirals the density compensation makes up for it
        occurrence = _of_groups(_occurrence(trajectory, frame, prepared.matrix), frame, group)
        ky, kx = _cells(trajectory.reshape(-1, 2), prepared.matrix)
        cells = torch.from_numpy(ky * prepared.matrix[1] + kx)
    points = torch.from_numpy(trajectory.reshape(-1, 2))
    counts = [b - a for a, b in pairwise(data.starts)]
    return Measurements(
        data,
        torch.from_numpy(np.repeat(group, trajectory.shape[1])),
        Crowding(points, counts, prepared.matrix, data.kspace.device),
        prepared.noise_std,
        cyclic,
        centre=prepared.cartesian,
        shared_pattern=_is_shared(trajectory, frame),
        occurrence=occurrence,
        largest=largest,
        cells=cells,
    )


def _occurrence(
    trajectory: Float[np.ndarray, "readout sample 2"], frame: Integer[np.ndarray, " readout"], matrix: tuple[int, int]
) -> Float[np.ndarray, " readout"]:
    """In what share of frames the places of a readout are measured, averaged over those around them."""
    numbers, of_frame = np.unique(frame, return_inverse=True)
    cells = _cells(trajectory, matrix)
    visited = np.zeros((len(numbers), *matrix), bool)
    visited[of_frame[:, None], cells[0], cells[1]] = True
    share = uniform_filter(np.fft.fftshift(visited.mean(0)), NEARBY, mode="nearest")
    middle = [(cell + n // 2) % n for cell, n in zip(cells, matrix, strict=True)]
    return np.maximum(share[middle[0], middle[1]].mean(1), 1e-6)


def _cells(trajectory: Float[np.ndarray, "*readouts 2"], matrix: tuple[int, int]) -> list[np.ndarray]:
    """Row and column of the nearest place on the grid, low frequencies first."""
    return [np.rint(trajectory[..., axis] * n).astype(int) % n for axis, n in enumerate(matrix)]


def _of_groups(
    values: Float[np.ndarray, " readout"],
    frame: Integer[np.ndarray, " readout"],
    group: Integer[np.ndarray, " readout"],
) -> Float[Tensor, "frame group"]:
    """Means over the readouts of each group; 1 where there are none."""
    numbers, of_frame = np.unique(frame, return_inverse=True)
    n_groups = int(group.max()) + 1
    place, size = of_frame * n_groups + group, len(numbers) * n_groups
    counts, sums = np.bincount(place, minlength=size), np.bincount(place, values, size)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    return torch.from_numpy(means.reshape(-1, n_groups)).float()


def _is_shared(trajectory: np.ndarray, frame: np.ndarray) -> bool:
    """Whether all frames are measured at the same places."""
    places = [
        np.sort(np.round(trajectory[frame == number].reshape(-1, 2) @ [4096.0, 1.0], 4)) for number in np.unique(frame)
    ]
    return all(p.shape == places[0].shape and np.allclose(p, places[0], atol=1e-3) for p in places)
