"""Readouts in groups, for networks that see some of a frame's readouts and are judged by the others."""

import numpy as np
import torch

from dainr.operators.batch import FrameData
from dainr.operators.measured import Measurements
from dainr.prepare.frame_data import readouts_in_order
from dainr.prepare.prepared import Prepared

CENTRE_LINES = 2  # from the k-space centre: lines as near are calibration, which every choice of groups keeps


def measurements(prepared: Prepared, data: FrameData, cyclic: bool) -> Measurements:
    """The readouts of a prepared slice that are not held out, each a group of its own.

    `data` are theirs. On the grid the lines at the k-space centre are one group together, the first of every frame.
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
    return Measurements(
        data,
        torch.from_numpy(np.repeat(group, trajectory.shape[1])),
        prepared.noise_std,
        cyclic,
        centre=prepared.cartesian,
        shared_pattern=_is_shared(trajectory, frame),
    )


def _is_shared(trajectory: np.ndarray, frame: np.ndarray) -> bool:
    """Whether all frames are measured at the same places."""
    places = [
        np.sort(np.round(trajectory[frame == number].reshape(-1, 2) @ [4096.0, 1.0], 4)) for number in np.unique(frame)
    ]
    return all(p.shape == places[0].shape and np.allclose(p, places[0], atol=1e-3) for p in places)
