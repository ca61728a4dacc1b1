"""A scan from an ISMRMRD header and acquisitions: radial (or any) with trajectories, and Cartesian without.

Every readout keeps the phase, repetition or time that bins it into a frame; everything that had to be decided goes into
the scan's notes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dainr.cine import stack_affine
from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_geometry import Geometry, read_geometry
from dainr.io.scans.ismrmrd_header import Header, read_header
from dainr.io.scans.ismrmrd_lines import cartesian_readouts, kept_samples
from dainr.io.scans.ismrmrd_noise import noise_samples
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.ismrmrd_slices import by_slice, planes_of
from dainr.io.scans.ismrmrd_sorting import calibration_of, check_alike, of_one_length, sort_readouts
from dainr.io.scans.ismrmrd_spokes import made_trajectory
from dainr.io.scans.ismrmrd_stack import slices_of_stacks
from dainr.io.scans.ismrmrd_times import cardiac_phases, read_clock
from dainr.io.scans.ismrmrd_trajectory import has_trajectory, read_trajectory
from dainr.io.scans.options import ReadOptions
from dainr.scan import SET_ASIDE, Scan

BESIDE = ("coil_maps", "phase", "density", "reference")  # arrays that the format has no place for


def build_scan(
    header: Any,
    acquisitions: Iterable[Any] | Readouts,
    where: str,
    extra: Mapping[str, np.ndarray | None] | None = None,
    options: ReadOptions = ReadOptions(),
    decisions: Decisions | None = None,
) -> Scan:
    """The scan of an ISMRMRD header and `ismrmrd.Acquisition`s in the order they were measured in.

    The header is an `ismrmrd.xsd.ismrmrdHeader` or an XML document. `where` names their source in errors; `extra` may
    hold what the format has no place for, by the names in `BESIDE`. Raises BadScan when they hold no images, mix sizes
    or are three-dimensional, BadRequest for options that do not fit them.
    """
    extra, decisions = extra or {}, decisions or Decisions()
    told = read_header(header, where, decisions)
    readouts = sort_readouts(Readouts.collect(acquisitions), where, decisions, options)
    told = _of_lines_by_default(told, readouts.imaging, decisions)
    geometry = read_geometry(told, options.trajectory is not None, where, decisions)
    imaging, geometry = slices_of_stacks(readouts.imaging, told, geometry, where, decisions)
    check_alike(imaging, where)
    slices = by_slice(imaging, min(geometry.recon.pixel_mm), decisions)
    frame = _frames(slices, decisions)
    if frame is None:
        slices = of_one_length(slices, decisions)
    known = options.trajectory is None and imaging is readouts.imaging  # where calibration readouts lie
    calibration = calibration_of(slices, readouts.calibration, known, decisions)
    samples, places, geometry = _samples([*slices, *calibration], geometry, told, options, where, decisions)
    kspace, trajectory = _of_slices(samples[: len(slices)]), _stacked(places[: len(slices)])
    beside = _beside(extra, kspace.shape, geometry.matrix, where)
    times, phase = _times(slices, frame, told, options, decisions)
    assumed = geometry.assumed if "time_unit" in decisions.fields else (*geometry.assumed, "readout_ms")
    planes = planes_of(slices, geometry, told.vendor, decisions)
    affine = None if planes is None else stack_affine(planes)
    dwell_us = float(imaging.head["sample_time_us"][0])
    return Scan(
        kspace=kspace,
        trajectory=trajectory,
        times=times,
        matrix=geometry.matrix,
        fov_mm=geometry.fov_mm,
        slice_thickness_mm=geometry.slice_thickness_mm,
        affine=affine,
        planes=planes if affine is None else None,
        frame=None if frame is None else _stacked([one.astype(np.int32) for one in frame], SET_ASIDE),
        calibration=_of_slices(samples[len(slices) :], None) if calibration else None,
        calibration_trajectory=_stacked(places[len(slices) :], None) if calibration else None,
        coil_maps=beside["coil_maps"],
        density=beside["density"],
        phase=phase if beside["phase"] is None else beside["phase"],
        noise=noise_samples(readouts.noise, options, kspace.shape[1], dwell_us, geometry.band, decisions),
        reference=beside["reference"],
        name=where,
        notes=tuple(decisions.notes),
        decided=decisions.fields,
        assumed=tuple(dict.fromkeys(assumed)),
    )


def _of_lines_by_default(told: Header, imaging: Readouts, decisions: Decisions) -> Header:
    """The header, as one of Cartesian lines where neither it nor the readouts say what they are."""
    if told.trajectory or imaging.head["trajectory_dimensions"].any():
        return told
    decisions.say("neither its header nor its readouts tell a trajectory: read as Cartesian lines")
    return replace(told, trajectory="cartesian")


def _stacked(parts: list[np.ndarray], filling: float | None = 0, axis: int = 0) -> np.ndarray:
    """Arrays of the slices, readouts along an axis, the shorter ones filled up, or with their last (None)."""
    shape = list(parts[0].shape)
    shape[axis] = max(part.shape[axis] for part in parts)
    stack = np.empty((len(parts), *shape), parts[0].dtype)
    for slot, part in zip(stack, parts, strict=True):
        row, values = np.moveaxis(slot, axis, 0), np.moveaxis(part, axis, 0)
        row[: len(values)] = values
        row[len(values) :] = values[-1] if filling is None else filling
    return stack


def _frames(slices: list[Readouts], decisions: Decisions) -> list[np.ndarray] | None:
    for counter in ("phase", "repetition"):
        index = [readouts.counter(counter) for readouts in slices]
        values = np.unique(np.concatenate(index))
        if len(values) > 1:
            decisions.say(f"frames are the file's idx.{counter} ({len(values)} values)", frames_from=f"idx.{counter}")
            return [np.searchsorted(values, one) for one in index]
    decisions.say("the file bins nothing into frames: choose --spokes-per-frame")
    return None


def _of_slices(samples: list[np.ndarray], filling: float | None = 0) -> np.ndarray:
    """K-space `slice coil readout sample` from the `readout coil sample` of each slice."""
    return _stacked([part.swapaxes(0, 1) for part in samples], filling, axis=1)


def _samples(
    groups: list[Readouts], geometry: Geometry, header: Header, options: ReadOptions, where: str, decisions: Decisions
) -> tuple[list[np.ndarray], list[np.ndarray], Geometry]:
    """K-space `readout coil sample` and trajectory `readout sample 2` of each group, and the geometry of their image.

    Discarded samples are removed.
    """
    imaging = Readouts.joined(groups)
    kept = kept_samples(imaging, header.pilot_tone, where, decisions)
    stored = options.trajectory is None and has_trajectory(imaging, geometry, header.trajectory, where, decisions)
    if options.trajectory is not None or stored:
        trajectory, geometry = (
            read_trajectory(imaging, geometry, options.trajectory_unit, where, decisions)
            if options.trajectory is None
            else made_trajectory(groups, options.trajectory, header.last_line, geometry, where, decisions)
        )
        inner = kept.of(trajectory.shape[1])
        kspace, trajectory = imaging.stacked()[..., inner], trajectory[:, inner]
    else:
        _check_lines(header, where, decisions)
        kspace, trajectory, geometry = cartesian_readouts(imaging, kept, geometry, header, where, decisions)
    ends = np.cumsum([len(readouts) for readouts in groups])[:-1]
    samples = [part.astype(np.complex64, copy=False) for part in np.split(kspace, ends)]
    places = [part.astype(np.float32, copy=False) for part in np.split(trajectory, ends)]
    return samples, places, geometry


def _check_lines(header: Header, where: str, decisions: Decisions) -> None:
    """Lines of an EPI are lines, unless they were measured while the gradient rises."""
    if header.trajectory != "epi":
        return
    if header.ramp_sampled:
        raise BadScan(where, "its EPI samples on the ramps of the gradient", "export it with trajectories")
    decisions.say("its trajectory is epi: read as Cartesian lines, without a correction of odd against even ones")


def _times(
    slices: list[Readouts],
    frame: list[np.ndarray] | None,
    header: Header,
    options: ReadOptions,
    decisions: Decisions,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Times in s, and cardiac phases where they are known, of all readouts `slice readout`."""
    imaging = Readouts.joined(slices)
    n_frames = 1 if frame is None else 1 + max(int(one.max()) for one in frame)
    per_frame = len(imaging) / len(slices) / n_frames
    clock = read_clock(imaging, per_frame, header.repetition_time_ms, options.time_unit, decisions)
    if clock.step_s is not None:
        longest = max(map(len, slices))
        times = np.broadcast_to(np.arange(longest) * clock.step_s, (len(slices), longest))
    else:
        times = _stacked([clock.seconds(readouts.head["acquisition_time_stamp"]) for readouts in slices], None)
    phases = cardiac_phases(slices, clock, decisions)
    return times, None if phases is None else _stacked(phases)


def _beside(
    extra: Mapping[str, np.ndarray | None], shape: tuple[int, ...], matrix: tuple[int, int], where: str
) -> dict[str, np.ndarray | None]:
    """What is stored beside acquisitions, by the names in BESIDE; `shape`: slices, coils, readouts, samples."""
    n_slices, n_coils, n_readouts, n_samples = shape
    shapes = {
        "coil_maps": (n_slices, n_coils, *matrix),
        "phase": (n_slices, n_readouts),
        "density": (n_slices, n_readouts, n_samples),
        "reference": (n_slices, -1, *matrix),
    }
    arrays = {name: _array_beside(extra.get(name), name, shapes[name], where) for name in BESIDE}
    kinds = {"coil_maps": np.complex64, "density": np.float32}
    return {name: None if a is None else a.astype(kinds.get(name, a.dtype)) for name, a in arrays.items()}


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
