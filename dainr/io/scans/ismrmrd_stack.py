"""Stacks of stars, and of other readouts: partitions along kz, transformed into slices that are fitted as 2-D ones.

Readouts that differ in `idx.kspace_encode_step_2` alone lie above one another in k-space. An inverse transform along
them,

    y[z] = 1 / sqrt(N) * sum_n y[n] exp(2 pi i (n - n_0) z / N) * sqrt(N / M),

gives what each slice z would have measured; the last factor leaves their noise that of a readout where only M of N
partitions were measured, and the others, at the edges, are zero.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Integer

from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_geometry import Geometry
from dainr.io.scans.ismrmrd_header import Header
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.ismrmrd_slices import TURNED_BY

PARTITION = "kspace_encode_step_2"
SHARED = ("slice", "phase", "repetition", "set", "contrast", "average", "kspace_encode_step_1")  # by a stack
SAME_PLACE = 1e-3  # of the largest k: readouts of a stack lie above one another
AT_A_TIME = 256  # stacks that are transformed together
FIX = "reconstruct it by a program for 3-D scans, or export stacks of 2-D slices"


@dataclass(frozen=True, eq=False)
class Stacks:
    """Which readout each stack has in each partition: -1 for none."""

    readout: Integer[np.ndarray, "stack partition"]
    centre: int  # the partition of the k-space centre

    @property
    def measured(self) -> Bool[np.ndarray, "stack partition"]:
        """Where there is one."""
        return self.readout >= 0


def slices_of_stacks(
    imaging: Readouts, header: Header, geometry: Geometry, where: str, decisions: Decisions
) -> tuple[Readouts, Geometry]:
    """The readouts of every slice where they have partitions, and the geometry of those slices; else both as they are.

    Raises BadScan for encodings that are no such stacks.
    """
    if not imaging.counter(PARTITION).any():
        return imaging, geometry
    imaging = _flat(imaging, where)
    centre = header.centre_partition
    if centre is None:
        centre = _strongest(imaging)
        decisions.say(f"the header tells no central partition: {centre} is, which holds the most energy")
    stacks = _stacks(imaging, centre, geometry.encoded.n_z, where)
    _check_alignment(imaging, stacks, where)
    n = stacks.readout.shape[1]
    step_mm = geometry.encoded.fov_z_mm / n
    kept = min(n, max(1, round(geometry.recon.fov_z_mm / step_mm))) if geometry.recon.fov_z_mm > 0 else n
    if not 0 < step_mm < np.inf:
        step_mm = geometry.slice_thickness_mm
    _say(stacks, kept, step_mm, decisions)
    first = n // 2 - kept // 2
    turned = TURNED_BY in header.vendor.lower()  # along z as along x and y
    slices = _transformed(imaging, stacks, range(first, first + kept), -step_mm if turned else step_mm)
    return slices, replace(geometry, slice_thickness_mm=step_mm)


def _flat(imaging: Readouts, where: str) -> Readouts:
    """The readouts without a third component of their trajectories, where that is constant along each: the partition.

    Raises BadScan where it changes along readouts.
    """
    if not (imaging.head["trajectory_dimensions"] >= 3).any():
        return imaging
    for points in imaging.trajectory:
        if points.shape[1] > 2 and np.ptp(points[:, 2]) > SAME_PLACE * max(np.abs(points).max(), 1e-9):
            raise BadScan(where, "its trajectory is three-dimensional: readouts leave their partition", FIX)
    head = imaging.head.copy()
    head["trajectory_dimensions"] = np.minimum(head["trajectory_dimensions"], 2)
    return Readouts(head, imaging.data, [np.ascontiguousarray(points[:, :2]) for points in imaging.trajectory])


def _strongest(imaging: Readouts) -> int:
    """The partition whose readouts hold the most energy on average."""
    partition = imaging.counter(PARTITION)
    with np.errstate(over="ignore", invalid="ignore"):  # Scan refuses what is not finite
        energy = np.array([float((np.abs(data) ** 2).sum()) for data in imaging.data])
    mean = np.bincount(partition, energy) / np.maximum(np.bincount(partition), 1)
    return int(np.argmax(np.nan_to_num(mean)))


def _stacks(imaging: Readouts, centre: int, told_n: int, where: str) -> Stacks:
    partition = imaging.counter(PARTITION)
    n = told_n
    if int(partition.max()) >= n:
        told = f"its partitions (idx.{PARTITION}) go to {int(partition.max())}, its header tells {n}"
        raise BadScan(where, told, "correct matrixSize of encodedSpace in its header")
    keys = np.stack([imaging.counter(name) for name in SHARED], 1)
    _, of_key = np.unique(keys, axis=0, return_inverse=True)
    of_key = of_key.reshape(-1)
    order = np.lexsort((np.arange(len(imaging)), partition, of_key))  # readouts of one key and partition by time
    changes = np.flatnonzero(np.diff(of_key[order]) | np.diff(partition[order])) + 1
    starts = np.concatenate([[0], changes])
    rank = np.empty(len(imaging), np.int64)
    rank[order] = np.arange(len(imaging)) - np.repeat(starts, np.diff([*starts, len(imaging)]))
    _, first, stack = np.unique(np.stack([of_key, rank], 1), axis=0, return_index=True, return_inverse=True)
    stack = np.argsort(np.argsort(first, kind="stable"))[stack.reshape(-1)]  # in the order of their first readouts
    readout = np.full((len(first), n), -1)
    readout[stack, partition] = np.arange(len(imaging))
    _check_filled(readout >= 0, centre, where)
    shifted = np.full_like(readout, -1)
    place = np.arange(n) - centre + n // 2
    inside = (place >= 0) & (place < n)
    if (readout[:, ~inside] >= 0).any():
        told = f"its partitions 0 to {int(partition.max())} about {centre} are more than the {n} its header tells"
        raise BadScan(where, told, "correct matrixSize or the limits of kspace_encoding_step_2 in its header")
    shifted[:, place[inside]] = readout[:, inside]
    return Stacks(shifted, n // 2)


def _check_filled(measured: Bool[np.ndarray, "stack partition"], centre: int, where: str) -> None:
    """Raises BadScan where a stack has gaps, or lacks the centre: zeros there would alias, or be no image."""
    n = measured.shape[1]
    first, last = measured.argmax(1), n - 1 - measured[:, ::-1].argmax(1)
    gaps = last - first + 1 != measured.sum(1)
    if gaps.any():
        told = f"it is undersampled along kz: {int(gaps.sum())} of its {len(measured)} stacks of partitions have gaps"
        raise BadScan(where, told, FIX)
    without = ~measured[:, min(centre, n - 1)]
    if without.any():
        told = f"{int(without.sum())} of its {len(measured)} stacks of partitions lack the central one, {centre}"
        raise BadScan(where, told, FIX)


def _check_alignment(imaging: Readouts, stacks: Stacks, where: str) -> None:
    """Raises BadScan where the readouts of a stack do not lie above one another."""
    if not (imaging.head["trajectory_dimensions"] >= 2).all():
        return
    for row in stacks.readout:
        points = np.stack([imaging.trajectory[index] for index in row[row >= 0]])
        if np.abs(points - points[0]).max() > SAME_PLACE * max(float(np.abs(points).max()), 1e-9):
            told = "its trajectory is three-dimensional: spokes of one number lie elsewhere in each partition"
            raise BadScan(where, told, FIX)


def _say(stacks: Stacks, kept: int, step_mm: float, decisions: Decisions) -> None:
    measured = stacks.measured
    n, most, fewest = measured.shape[1], int(measured.sum(1).max()), int(measured.sum(1).min())
    told = f"{n} partitions are transformed along kz into {kept} slices of {step_mm:g} mm"
    if most < n:
        told += f", of which {n - most} were not measured (partial Fourier): zero"
    if fewest < most:
        told += f"; stacks have from {fewest} to {most} of them (elliptic): the others are zero"
    decisions.say(told, partitions=n, partitions_measured=most, slices_kept=kept)


def _transformed(imaging: Readouts, stacks: Stacks, keep: range, step_mm: float) -> Readouts:
    """The readouts of the slices that are kept, one slice after another."""
    n_stacks, n = stacks.readout.shape
    shape = imaging.data[0].shape
    data = np.empty((len(keep), n_stacks, *shape), np.complex64)
    factor = np.sqrt(n / stacks.measured.sum(1).max())
    for start in range(0, n_stacks, AT_A_TIME):
        rows = stacks.readout[start : start + AT_A_TIME]
        filled = np.zeros((n, len(rows), *shape), np.complex64)
        for stack, partition in zip(*np.nonzero(rows >= 0), strict=True):
            filled[partition, stack] = imaging.data[rows[stack, partition]]
        with np.errstate(over="ignore", invalid="ignore"):  # Scan refuses what is not finite
            image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(filled, axes=0), axis=0, norm="ortho"), axes=0)
            data[:, start : start + AT_A_TIME] = factor * image[keep.start : keep.stop]
    central = imaging.chosen(stacks.readout[:, stacks.centre])
    heads = []
    for number, place in enumerate(keep):
        head = central.head.copy()
        head["idx"][PARTITION] = 0
        head["idx"]["slice"] = head["idx"]["slice"] * len(keep) + number
        head["position"] += (place - n // 2) * step_mm * head["slice_dir"]
        heads.append(head)
    return Readouts(
        np.concatenate(heads),
        [readout for of_slice in data for readout in of_slice],
        [points for _ in keep for points in central.trajectory],
    )
