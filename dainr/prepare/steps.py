"""From a slice of a scan to what a fit reads, step by step; each records what it did in plain words and figures."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from dainr.errors import BadRequest, BadScan
from dainr.operators.nufft.coils import CoilNufft
from dainr.prepare.coil_maps import estimate_coil_maps
from dainr.prepare.compress import combine_coils, compression_matrix
from dainr.prepare.delays import Delays, estimate_delays
from dainr.prepare.density import estimated_density, even_density, passes_centre
from dainr.prepare.frames import frame_numbers, frame_times, hold_out
from dainr.prepare.outside import estimate_outside
from dainr.prepare.prepared import PrepareConfig, Prepared
from dainr.prepare.smooth_maps import CoilMaps
from dainr.prepare.whiten import noise_covariance, unit_norm, whiten, whiten_maps
from dainr.scan import SET_ASIDE, Scan, on_grid
from dainr.scan_checks import no_readout

BRIGHT_PERCENTILE = 99.5  # of the time-averaged image; it becomes one
MEASURED = "measured"  # of frames, in the record: their times
SILENT = 0.01  # of the median frame's energy beyond the noise: less is no signal

Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Slice:
    """A slice on its way: the readouts in frames, and what the steps so far have made of them."""

    scan: Scan
    index: int
    config: PrepareConfig
    seed: int
    kspace: Complex[np.ndarray, "coil readout sample"]
    trajectory: Float[np.ndarray, "readout sample 2"]
    frame: Integer[np.ndarray, " readout"]
    times: Float[np.ndarray, " readout"]  # s
    held_out: Bool[np.ndarray, " readout"]
    density: Float[np.ndarray, "readout sample"]
    coil_maps: Complex[np.ndarray, "coil y x"] | None = None
    calibration: Complex[np.ndarray, "coil calibration_readout calibration_sample"] | None = None  # for coil maps alone
    scale: float = 1.0

    @property
    def seen(self) -> Bool[np.ndarray, " readout"]:
        """The readouts that are not held out: all that is estimated is estimated from them."""
        return ~self.held_out

    @property
    def pixels_per_mm(self) -> Float[np.ndarray, "2"]:
        """Of the reconstruction matrix, (y, x)."""
        return np.array(self.scan.matrix, np.float32) / np.array(self.scan.fov_mm, np.float32)


def prepare_slice(scan: Scan, index: int, config: PrepareConfig, seed: int) -> Prepared:
    """Prepare one slice of a scan whose readouts are binned and in frame order.

    Raises BadScan when the file's coil maps are asked for and absent or empty, BadRequest for too many virtual coils
    and for delays of what are no spokes.
    """
    part, record = _as_measured(scan, index, config, seed), Record()
    for step in STEPS:
        part = step(part, record)
    scan.release()
    return _prepared(part, record)


def correct_delays(part: Slice, record: Record) -> Slice:
    """Phases of spokes, where they are clearly there, and gradient delays, where they are or are asked for."""
    delays = _delays(part)
    if delays is None:
        return part
    if delays.turned and delays.turns is not None:
        by_direction = delays.turns.by_direction
        record["spoke_phase_rad"] = by_direction.round(4).tolist()
        turn = np.exp(-1j * delays.direction @ by_direction).astype(np.complex64)
        part = replace(part, kspace=part.kspace * turn[:, None])
    if not delays.clear and part.config.delays != "estimate":
        return part
    record["gradient_delays_samples"] = delays.matrix.round(4).tolist()
    shift = (delays.shift / part.pixels_per_mm).astype(np.float32)
    return replace(part, trajectory=part.trajectory + shift[:, None])


def choose_held_out(part: Slice, record: Record) -> Slice:
    """Some readouts are kept from the fit, to validate it."""
    copy_of = part.scan.copy_of
    copies = None if copy_of is None else copy_of[part.index][: len(part.frame)]
    held_out = hold_out(part.trajectory, part.frame, part.config.holdout, part.seed, copies)
    record |= {"held_out_readouts": int(held_out.sum()), "readouts": len(held_out)}
    return replace(part, held_out=held_out)


def whiten_coils(part: Slice, record: Record) -> Slice:
    """Noise of unit variance, alike in all coils and independent; stored coil maps change with them."""
    scan, seen = part.scan, part.seen
    covariance, record["noise_from"] = noise_covariance(
        part.kspace[:, seen], part.trajectory[seen], scan.noise, scan.matrix
    )
    maps = _stored_maps(scan, part.index, covariance, part.config)
    calibration = None if part.calibration is None else whiten(part.calibration, covariance)
    return replace(part, kspace=whiten(part.kspace, covariance), coil_maps=maps, calibration=calibration)


def compress_coils(part: Slice, record: Record) -> Slice:
    """Fewer virtual coils that hold nearly all of the signal."""
    config = part.config
    record["coils"] = len(part.kspace)
    if config.virtual_coils == 0 and config.coil_loss == 0:
        return part
    matrix, kept = compression_matrix(part.kspace[:, part.seen], config.virtual_coils, config.coil_loss)
    record |= {"virtual_coils": len(matrix), "energy_kept": round(kept, 5)}
    maps = None if part.coil_maps is None else combine_coils(matrix, part.coil_maps)
    calibration = None if part.calibration is None else combine_coils(matrix, part.calibration)
    return replace(part, kspace=combine_coils(matrix, part.kspace), coil_maps=maps, calibration=calibration)


def compensate_density(part: Slice, record: Record) -> Slice:
    """How much of k-space each sample stands for, where the scan does not store it: spokes are dense at the centre."""
    if part.scan.density is not None:
        record["density"] = "stored"
        return replace(part, density=part.density / (part.density.max() or 1))
    record["density"], density = estimated_density(part.trajectory, part.pixels_per_mm)
    return replace(part, density=density)


def find_coil_maps(part: Slice, record: Record) -> Slice:
    """The maps of the file, or estimated ones: from calibration readouts, where there are any."""
    if part.coil_maps is not None:
        record["coil_maps"] = "from the file"
        return replace(part, coil_maps=unit_norm(part.coil_maps).astype(np.complex64))
    seen, scan = part.seen, part.scan
    if part.calibration is not None:
        found = _calibrated_maps(part.calibration, part)
    else:
        found = estimate_coil_maps(
            part.kspace[:, seen], part.trajectory[seen], part.density[seen], scan.matrix, scan.is_cartesian
        )
    record |= {"coil_maps": found.method, "coil_maps_unexplained": round(found.residual, 4)}
    return replace(part, coil_maps=found.maps)


def remove_outside(part: Slice, record: Record) -> Slice:
    """Still signal from outside the field of view is taken off the samples of spokes."""
    if part.config.outside == "keep":
        return part
    outside = estimate_outside(part.kspace, part.trajectory, part.density, part.scan.matrix, part.seen)
    if outside is None:
        return part
    record["outside_energy"] = round(outside.share, 4)
    return replace(part, kspace=part.kspace - outside.kspace)


def find_silent_frames(part: Slice, record: Record) -> Slice:
    """Frames whose white samples hold hardly more than their noise, where others do, are told."""
    energy = np.bincount(part.frame, (np.abs(part.kspace) ** 2).mean((0, 2))) / np.bincount(part.frame) - 1
    silent = np.flatnonzero(energy < SILENT * np.median(energy)).tolist() if np.median(energy) > 0 else []
    record["frames_without_signal"] = silent
    return part


def scale_to_one(part: Slice, record: Record) -> Slice:
    """The brightest pixels of the time average become one: one set of settings then serves every scan."""
    assert part.coil_maps is not None
    seen = part.seen
    scale = _brightness(part.kspace[:, seen], part.trajectory[seen], part.density[seen], part.coil_maps)
    record |= {"scale": scale, "noise_std": 1 / scale}
    return replace(part, scale=scale, kspace=(part.kspace / np.float32(scale)).astype(np.complex64))


STEPS: tuple[Callable[[Slice, Record], Slice], ...] = (
    correct_delays,
    choose_held_out,
    whiten_coils,
    compress_coils,
    compensate_density,
    find_coil_maps,
    remove_outside,
    find_silent_frames,
    scale_to_one,
)


def _as_measured(scan: Scan, index: int, config: PrepareConfig, seed: int) -> Slice:
    """The readouts that are used: in frame order those set aside are last."""
    if scan.frame is None:
        raise BadScan(scan.name, "its readouts are not binned into frames", "choose --spokes-per-frame N")
    used = slice(0, int((scan.frame[index] != SET_ASIDE).sum()))
    trajectory = scan.trajectory[index][used].astype(np.float32)
    empty = np.flatnonzero(scan.readouts_per_frame[index] == 0)
    if len(empty):
        raise no_readout(scan.name, int(empty[0]), index if scan.n_slices > 1 else None, len(empty))
    return Slice(
        scan,
        index,
        config,
        seed,
        kspace=scan.kspace[index][:, used],
        trajectory=trajectory,
        frame=scan.frame[index][used],
        times=scan.times[index][used],
        held_out=np.zeros(len(trajectory), bool),
        density=even_density(trajectory) if scan.density is None else scan.density[index][used],
        calibration=None if scan.calibration is None else scan.calibration[index],
    )


def _prepared(part: Slice, record: Record) -> Prepared:
    scan = part.scan
    assert scan.frame is not None and part.coil_maps is not None
    of_first = scan.frame[0] != SET_ASIDE  # whose time axis is the cine's
    times, timed = frame_times(scan.times[0][of_first], scan.frame[0][of_first])
    record["frame_times"] = MEASURED if timed else "frames spread over one cycle (no increasing time stamps)"
    return Prepared(
        kspace=part.kspace,
        trajectory=part.trajectory,
        density=part.density,
        frame=part.frame.astype(np.int64),
        frame_times=times,
        frame_position=frame_numbers(part.times, part.frame),
        held_out=part.held_out,
        coil_maps=part.coil_maps,
        matrix=scan.matrix,
        cartesian=scan.is_cartesian,
        cyclic=scan.cyclic,
        scale=part.scale,
        noise_std=1 / part.scale,
        record=record,
    )


def _delays(part: Slice) -> Delays | None:
    """The delays, unless they are left alone."""
    in_mm = part.trajectory * part.pixels_per_mm  # cycles per mm: there gradients point where spokes do
    if part.config.delays == "estimate":
        return estimate_delays(part.kspace, in_mm)
    if part.config.delays == "no" or not passes_centre(part.trajectory):
        return None
    try:
        return estimate_delays(part.kspace, in_mm)
    except BadRequest:  # a trajectory of another kind
        return None


def _calibrated_maps(kspace: np.ndarray, part: Slice) -> CoilMaps:
    """Coil maps of calibration readouts."""
    scan = part.scan
    assert scan.calibration_trajectory is not None
    trajectory = scan.calibration_trajectory[part.index].astype(np.float32)
    _, density = estimated_density(trajectory, part.pixels_per_mm)
    found = estimate_coil_maps(kspace, trajectory, density, scan.matrix, on_grid(trajectory, scan.matrix))
    return replace(found, method=f"{found.method}, of {len(trajectory)} calibration readouts")


def _stored_maps(scan: Scan, index: int, covariance: np.ndarray, config: PrepareConfig) -> np.ndarray | None:
    if config.coil_maps == "estimate":
        return None
    if scan.coil_maps is None:
        if config.coil_maps == "file":
            raise BadScan(scan.name, "it stores no coil maps", "set coil_maps=estimate")
        return None
    if not np.abs(scan.coil_maps[index]).max() > 0:
        raise BadScan(scan.name, f"the coil maps of slice {index} are zero", "set coil_maps=estimate")
    return whiten_maps(scan.coil_maps[index], covariance)


def _brightness(kspace: np.ndarray, trajectory: np.ndarray, density: np.ndarray, maps: np.ndarray) -> float:
    """Brightness of the time-averaged image.

    The gridded image is brought to the scale of the data by least squares: s = <A g, y>_w / <A g, A g>_w.
    """
    pixels = np.sqrt(maps.shape[1] * maps.shape[2])
    samples, weight = kspace.reshape(len(kspace), -1).astype(np.complex128), density.reshape(-1).astype(np.float64)
    nufft = CoilNufft(trajectory.reshape(-1, 2).astype(np.float64), maps.shape[1:], len(maps))
    gridded = (maps.conj() * (nufft.adjoint(samples * weight) / pixels)).sum(0)
    predicted = nufft.forward(maps * gridded) / pixels
    energy = max(np.vdot(predicted * weight, predicted).real, np.finfo(float).tiny)
    factor = np.vdot(predicted * weight, samples) / energy
    bright = float(np.percentile(np.abs(factor * gridded), BRIGHT_PERCENTILE))
    return bright if bright > 0 else 1.0
