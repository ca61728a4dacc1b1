"""Samples and operator of some readouts of a prepared slice, frame by frame or at several times within a frame."""

import numpy as np
import torch

from dainr.errors import BadRequest
from dainr.operators.acquisition import acquisition
from dainr.operators.batch import FrameData
from dainr.prepare.prepared import Prepared

NEARER = 0.49  # frames from its own to a subframe, at most: it stays nearest to it, however unevenly that was measured


def frame_data(
    prepared: Prepared, readouts: np.ndarray, nufft: str, device: torch.device, subframes: int = 1
) -> FrameData:
    """Samples and operator of some readouts (a mask) of a prepared slice.

    With several subframes a frame, its readouts in order of time are parted into as many, each at its mean time.
    Raises BadRequest when the times of the readouts are not known.
    """
    frames, chosen, position = _in_order(prepared, readouts, subframes)
    trajectory, density = prepared.trajectory[chosen], prepared.density[chosen]
    n_samples = trajectory.shape[1]
    starts = np.concatenate([[0], np.cumsum(np.bincount(position, minlength=len(frames)))]) * n_samples
    operator = acquisition(prepared.coil_maps, trajectory, position, len(frames), prepared.cartesian, nufft, device)
    kspace = np.ascontiguousarray(prepared.kspace[:, chosen]).reshape(len(prepared.kspace), -1)
    times = np.interp(frames, np.arange(len(prepared.frame_times)), prepared.frame_times)
    return FrameData(
        kspace=torch.from_numpy(kspace).to(device),
        density=torch.from_numpy(np.ascontiguousarray(density.reshape(-1))).to(device),
        times=torch.from_numpy(times),
        operator=operator,
        frames=tuple(frames.tolist()),
        starts=tuple(int(s) for s in starts),
    )


def readouts_in_order(prepared: Prepared, readouts: np.ndarray, subframes: int = 1) -> np.ndarray:
    """Their numbers in the order in which `frame_data` has the samples of these readouts (a mask)."""
    return _in_order(prepared, readouts, subframes)[1]


def _in_order(prepared: Prepared, readouts: np.ndarray, subframes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The frame numbers at which readouts are measured; the readouts in that order, and which of them each is at."""
    frames, position = _subframes(prepared, readouts, subframes)
    order = np.argsort(position, kind="stable")
    return frames, np.flatnonzero(readouts)[order], position[order]


def _subframes(prepared: Prepared, readouts: np.ndarray, subframes: int) -> tuple[np.ndarray, np.ndarray]:
    """The frame numbers at which readouts are measured, and which of them each is measured at."""
    frame = prepared.frame[readouts]
    if subframes == 1:
        return np.unique(frame.astype(np.float64), return_inverse=True)
    if prepared.frame_position is None:
        raise BadRequest(
            f"subframes={subframes}", "the readouts of a frame are not measured one after another", "leave it out"
        )
    number = prepared.frame_position[readouts]
    order = np.lexsort((number, frame))
    counts = np.bincount(frame)
    rank = np.arange(len(frame)) - np.repeat(np.cumsum(counts) - counts, counts)
    part = np.empty(len(frame), np.int64)
    part[order] = frame[order] * subframes + rank * subframes // np.repeat(counts, counts)
    parts, position = np.unique(part, return_inverse=True)
    own = parts // subframes
    mean = np.bincount(position, number) / np.bincount(position)
    return np.clip(mean, own - NEARER, own + NEARER), position
