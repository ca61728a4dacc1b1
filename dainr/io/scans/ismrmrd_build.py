"""A scan from an ISMRMRD header and acquisitions: radial (or any) with trajectories, and Cartesian without.

Every readout keeps the phase, repetition or time that bins it into a frame; everything that had to be decided goes into
the scan's notes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.scans.ismrmrd_geometry import Geometry, read_geometry, slice_affine
from dainr.io.scans.ismrmrd_readouts import by_slice, check_alike, of_one_length, sort_readouts
from dainr.io.scans.ismrmrd_trajectory import cartesian_readouts, stored_trajectory
from dainr.io.scans.physiology import phase_since_trigger
from dainr.scan import SET_ASIDE, Scan

BESIDE = ("coil_maps", "phase", "reference")  # arrays that the format has no place for
TICK_S = 2.5e-3  # Siemens' unit of acquisition_time_stamp, kept by the converters
PILOT_TONE = 3, 1  # samples at the start and end of a readout that it disturbs, as OCMR's reader has it


def build_scan(
    header: Any, acquisitions: Iterable[Any], where: str, extra: Mapping[str, np.ndarray | None] | None = None
) -> Scan:
    """The scan of an `ismrmrd.xsd.ismrmrdHeader` and `ismrmrd.Acquisition`s in the order they were measured in.

    `where` names their source in errors; `extra` may hold what the format has no place for, by the names in `BESIDE`.
    Raises BadScan when they hold no images, mix sizes or are three-dimensional.
    """
    readouts, extra = sort_readouts(acquisitions), extra or {}
    if not header.encoding:
        raise BadScan(where, "its header describes no encoding", "export it again with the full header")
    if not readouts.imaging:
        raise BadScan(
            where, "it holds no imaging readouts", "export the imaging measurement, not only noise or calibration"
        )
    notes = [f"{count} {kind} readouts skipped" for kind, count in readouts.skipped.items()]
    check_alike(readouts.imaging, where)
    geometry = read_geometry(header, where, notes)
    slices = by_slice(readouts.imaging)
    frame = _frames(slices, notes)
    if frame is None:
        slices = of_one_length(slices, notes)
    kspace, trajectory = _samples(slices, geometry, where, notes)
    maps = _array_beside(extra.get("coil_maps"), "coil_maps", (*kspace.shape[:2], *geometry.matrix), where)
    stamps = _stacked([np.array([a.acquisition_time_stamp for a in one], float) for one in slices], None)
    phase = _array_beside(extra.get("phase"), "phase", stamps.shape, where)
    if phase is None:
        phase = _phase(slices, notes)
    assumed = geometry.assumed if np.ptp(stamps) > 0 else (*geometry.assumed, "readout_ms")
    return Scan(
        kspace=kspace,
        trajectory=trajectory,
        times=_seconds(stamps, geometry, notes),
        matrix=geometry.matrix,
        fov_mm=geometry.fov_mm,
        slice_thickness_mm=geometry.slice_thickness_mm,
        affine=slice_affine([one[0] for one in slices], geometry, notes),
        frame=None if frame is None else _stacked([one.astype(np.int32) for one in frame], SET_ASIDE),
        coil_maps=None if maps is None else maps.astype(np.complex64),
        phase=phase,
        noise=_noise(readouts.noise, kspace.shape[1], readouts.imaging[0].sample_time_us, where),
        reference=_array_beside(extra.get("reference"), "reference", (len(slices), -1, *geometry.matrix), where),
        name=where,
        notes=tuple(notes),
        assumed=tuple(dict.fromkeys(assumed)),
    )


def _stacked(parts: list[np.ndarray], filling: float | None = 0) -> np.ndarray:
    """Arrays of the slices, readouts along their first axis, the shorter ones filled up, or with their last (None)."""
    stack = np.empty((len(parts), max(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    for row, part in zip(stack, parts, strict=True):
        row[: len(part)] = part
        row[len(part) :] = part[-1] if filling is None else filling
    return stack


def _frames(slices: list[list[Any]], notes: list[str]) -> list[np.ndarray] | None:
    for counter in ("phase", "repetition"):
        index = [np.array([getattr(a.idx, counter) for a in acquisitions]) for acquisitions in slices]
        values = np.unique(np.concatenate(index))
        if len(values) > 1:
            notes.append(f"frames are the file's idx.{counter} ({len(values)} values)")
            return [np.searchsorted(values, one) for one in index]
    notes.append("the file bins nothing into frames: choose --spokes-per-frame")
    return None


def _samples(
    slices: list[list[Any]], geometry: Geometry, where: str, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """K-space `slice coil readout sample` and trajectory `slice readout sample 2`, discarded samples removed."""
    keep = _kept_samples([a for acquisitions in slices for a in acquisitions], geometry, where, notes)
    has_trajectory = all(a.traj.shape[1] >= 2 for acquisitions in slices for a in acquisitions)
    if not has_trajectory and not geometry.is_cartesian:
        raise BadScan(where, "it is not Cartesian and stores no trajectory", "export it with trajectories")
    data: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    for acquisitions in slices:
        if has_trajectory:
            kspace = np.stack([a.data for a in acquisitions], 1)
            trajectory = stored_trajectory(acquisitions, geometry, where, notes if not data else [])
            kspace, trajectory = kspace[..., keep], trajectory[:, keep]
        else:
            kspace, trajectory = cartesian_readouts(acquisitions, keep, geometry, where, notes if not data else [])
        data.append(kspace.astype(np.complex64).swapaxes(0, 1))
        positions.append(trajectory.astype(np.float32))
    return np.ascontiguousarray(_stacked(data).swapaxes(1, 2)), _stacked(positions)


def _kept_samples(acquisitions: list[Any], geometry: Geometry, where: str, notes: list[str]) -> slice:
    """The samples of a readout, in the order they were measured in, that are not discarded."""
    n = acquisitions[0].number_of_samples
    start, end = acquisitions[0].discard_pre, acquisitions[0].discard_post
    if geometry.pilot_tone:
        start, end = start + PILOT_TONE[0], end + PILOT_TONE[1]
    if len({a.is_flag_set(ismrmrd.ACQ_IS_REVERSE) for a in acquisitions}) > 1:
        start = end = max(start, end)  # of readouts in both directions they change places
    if start + end >= n:
        raise BadScan(where, f"of {n} samples per readout, {start + end} are to be discarded", "export it again")
    if start or end:
        why = ", disturbed by the pilot tone" if geometry.pilot_tone else ""
        notes.append(f"{start} samples at the start and {end} at the end of readouts dropped{why}")
    return slice(start, n - end)


def _seconds(stamps: np.ndarray, geometry: Geometry, notes: list[str]) -> np.ndarray:
    if np.ptp(stamps) > 0:
        notes.append(f"time stamps read in ticks of {TICK_S * 1e3:g} ms")
        return (stamps - stamps.min()) * TICK_S
    step = geometry.repetition_time_s or 1e-3
    notes.append(f"no time stamps: readouts are taken as {step * 1e3:g} ms apart")
    return np.broadcast_to(np.arange(stamps.shape[1]) * step, stamps.shape)


def _phase(slices: list[list[Any]], notes: list[str]) -> np.ndarray | None:
    """Cardiac phases, where the readouts of every slice carry the time since the last trigger."""
    phases = []
    for acquisitions in slices:
        since, times = (
            TICK_S * np.array(stamps, np.float64)
            for stamps in (
                [a.physiology_time_stamp[0] for a in acquisitions],
                [a.acquisition_time_stamp for a in acquisitions],
            )
        )
        phases.append(phase_since_trigger(times, since) if np.ptp(since) > 0 else None)
    known = [phase for phase in phases if phase is not None]
    if len(known) < len(phases):
        if known:
            notes.append(f"only {len(known)} of {len(phases)} slices carry time stamps of the ECG: they are left aside")
        return None
    notes.append("cardiac phases from the time stamps of the ECG: --frames-per-cycle bins by them")
    return _stacked(known)


def _noise(readouts: list[Any], n_coils: int, dwell_us: float, where: str) -> np.ndarray | None:
    """All noise measurements, one after another, `coil noise_sample`, at the bandwidth of the imaging readouts."""
    if not readouts:
        return None
    if any(a.data.shape[0] != n_coils for a in readouts):
        raise BadScan(where, f"its noise measurement has not the {n_coils} coils of the scan", "export one protocol")
    with np.errstate(invalid="ignore", over="ignore"):  # Scan refuses what is not finite
        parts = [a.data * _bandwidth_factor(a.sample_time_us, dwell_us) for a in readouts]
    return np.concatenate(parts, 1).astype(np.complex64)


def _bandwidth_factor(noise_dwell_us: float, dwell_us: float) -> float:
    """Noise grows with the root of the bandwidth, one over the dwell time; 1 where either is not stored."""
    return float(np.sqrt(noise_dwell_us / dwell_us)) if noise_dwell_us > 0 and dwell_us > 0 else 1.0


def _array_beside(array: np.ndarray | None, name: str, shape: tuple[int, ...], where: str) -> np.ndarray | None:
    """An array stored beside the acquisitions, in the shape it has in a scan; -1 stands for any length."""
    if array is None:
        return None
    known = -int(np.prod(shape))
    if name == "phase" and array.size == shape[-1]:  # the same for all slices
        array = np.broadcast_to(array.reshape(-1), shape)
    if array.size % known if -1 in shape else array.size != -known:
        raise BadScan(where, f"{name} has shape {array.shape}, not {shape}", f"store {name} with that shape")
    return array.reshape(shape)
