"""One slice of a scan, prepared for a fit; every step taken is recorded in plain words and figures."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from dainr.errors import BadRequest, BadScan
from dainr.prepare.coil_maps import estimate_coil_maps
from dainr.prepare.compress import combine_coils, compression_matrix
from dainr.prepare.delays import Delays, estimate_delays
from dainr.prepare.density import even_density, passes_centre, ramp_density
from dainr.prepare.frames import frame_numbers, frame_times, hold_out
from dainr.prepare.outside import estimate_outside
from dainr.prepare.whiten import noise_covariance, unit_norm, whiten, whiten_maps
from dainr.scan import SET_ASIDE, Scan

BRIGHT_PERCENTILE = 99.5  # of the time-averaged image; it becomes one
SILENT = 0.01  # of the median frame's energy beyond the noise: less is no signal


@dataclass(frozen=True)
class PrepareConfig:
    """How a scan is prepared."""

    coil_maps: Literal["auto", "file", "estimate"] = "auto"  # auto: the file's, or estimated where it has none
    virtual_coils: int = 0  # 0: as few as coil_loss allows
    coil_loss: float = 1e-3  # share of the signal that the coils left out may hold; 0 keeps all coils as they are
    holdout: float = 0.03  # share of the readouts that only validate
    delays: Literal["auto", "no", "estimate"] = "auto"  # gradient delays of spokes; auto: where they are clearly there
    outside: Literal["auto", "keep"] = "auto"  # signal of spokes from outside; auto: taken out where clearly there

    def __post_init__(self) -> None:
        if not 0 <= self.holdout <= 0.5:
            raise BadRequest(f"holdout={self.holdout}", "it is a share of the readouts", "choose 0 to 0.5")
        if self.virtual_coils < 0:
            raise BadRequest(f"virtual_coils={self.virtual_coils}", "it is a number of coils", "choose 0 or more")
        if not 0 <= self.coil_loss < 1:
            raise BadRequest(f"coil_loss={self.coil_loss}", "it is a share of the signal", "choose 0 or more, below 1")


@dataclass(frozen=True, eq=False)
class Prepared:
    """One slice, ready to fit. Readouts are in frame order; k-space is white and divided by `scale`."""

    kspace: Complex[np.ndarray, "coil readout sample"]
    trajectory: Float[np.ndarray, "readout sample 2"]
    density: Float[np.ndarray, "readout sample"]
    frame: Integer[np.ndarray, " readout"]
    frame_times: Float[np.ndarray, " frame"]  # s
    frame_position: Float[np.ndarray, " readout"] | None  # when each readout was measured, in frames; None: not known
    held_out: Bool[np.ndarray, " readout"]
    coil_maps: Complex[np.ndarray, "coil y x"]
    matrix: tuple[int, int]
    cartesian: bool
    cyclic: bool | None  # as the scan knows it
    scale: float  # image units of the scan per unit of the fit
    noise_std: float  # root mean square of the complex noise of one sample, in the fit's units
    record: dict[str, Any]


def prepare_slice(scan: Scan, index: int, config: PrepareConfig, seed: int) -> Prepared:
    """Prepare one slice of a scan whose readouts are binned and in frame order.

    Raises BadScan when the file's coil maps are asked for and absent or empty, BadRequest for too many virtual coils
    and for delays of what are no spokes.
    """
    if scan.frame is None:
        raise BadScan(scan.name, "its readouts are not binned into frames", "choose --spokes-per-frame N")
    used = slice(0, int((scan.frame[index] != SET_ASIDE).sum()))  # in frame order those set aside are last
    measured, frame, readout_times = scan.kspace[index][:, used], scan.frame[index][used], scan.times[index][used]
    trajectory, cartesian = scan.trajectory[index][used].astype(np.float32), scan.is_cartesian
    pixels_per_mm = np.array(scan.matrix, np.float32) / np.array(scan.fov_mm, np.float32)
    record: dict[str, Any] = {}
    delays = _delays(measured, trajectory * pixels_per_mm, config)
    if delays is not None:
        trajectory = trajectory + (delays.shift / pixels_per_mm).astype(np.float32)[:, None]
        record["gradient_delays_samples"] = delays.matrix.round(4).tolist()
    copy_of = None if scan.copy_of is None else scan.copy_of[index][used]
    held_out = hold_out(trajectory, frame, config.holdout, seed, copy_of)
    seen = ~held_out
    covariance, noise_source = noise_covariance(measured[:, seen], trajectory[seen], scan.noise, scan.matrix)
    kspace = whiten(measured, covariance)
    record["noise_from"] = noise_source
    stored = _stored_maps(scan, index, covariance, config)
    kspace, stored = _compress(kspace, seen, stored, config, record)
    central = passes_centre(trajectory)  # spokes: dense there, and with samples on twice the field of view
    density = ramp_density(trajectory * pixels_per_mm) if central else even_density(trajectory)
    if stored is None:
        estimated = estimate_coil_maps(kspace[:, seen], trajectory[seen], density[seen], scan.matrix, cartesian)
        maps, record["coil_maps"] = estimated.maps, estimated.method
        record["coil_maps_unexplained"] = round(estimated.residual, 4)
    else:
        maps, record["coil_maps"] = unit_norm(stored).astype(np.complex64), "from the file"
    outside = None if config.outside == "keep" else estimate_outside(kspace, trajectory, density, scan.matrix, seen)
    if outside is not None:
        kspace, record["outside_energy"] = kspace - outside.kspace, round(outside.share, 4)
    scale = _brightness(kspace[:, seen], trajectory[seen], density[seen], maps)
    of_first = scan.frame[0] != SET_ASIDE  # whose time axis is the cine's
    times, timed = frame_times(scan.times[0][of_first], scan.frame[0][of_first])
    record |= {
        "density": "ramp" if central else "one",
        "scale": scale,
        "noise_std": 1 / scale,
        "frames_without_signal": _silent_frames(kspace, frame),
        "held_out_readouts": int(held_out.sum()),
        "readouts": len(held_out),
        "frame_times": "measured" if timed else "frames spread over one cycle (no increasing time stamps)",
    }
    scan.release()
    return Prepared(
        kspace=(kspace / np.float32(scale)).astype(np.complex64),
        trajectory=trajectory,
        density=density,
        frame=frame.astype(np.int64),
        frame_times=times,
        frame_position=frame_numbers(readout_times, frame),
        held_out=held_out,
        coil_maps=maps,
        matrix=scan.matrix,
        cartesian=cartesian,
        cyclic=scan.cyclic,
        scale=scale,
        noise_std=1 / scale,
        record=record,
    )


def _delays(kspace: np.ndarray, trajectory: np.ndarray, config: PrepareConfig) -> Delays | None:
    """The delays to correct, if any."""
    if config.delays == "estimate":
        return estimate_delays(kspace, trajectory)
    if config.delays == "no" or not passes_centre(trajectory):
        return None
    try:
        delays = estimate_delays(kspace, trajectory)
    except BadRequest:  # a trajectory of another kind
        return None
    return delays if delays.clear else None


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


def _compress(
    kspace: np.ndarray, seen: np.ndarray, maps: np.ndarray | None, config: PrepareConfig, record: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray | None]:
    record["coils"] = len(kspace)
    if config.virtual_coils == 0 and config.coil_loss == 0:
        return kspace, maps
    matrix, kept = compression_matrix(kspace[:, seen], config.virtual_coils, config.coil_loss)
    record |= {"virtual_coils": len(matrix), "energy_kept": round(kept, 5)}
    return combine_coils(matrix, kspace), None if maps is None else combine_coils(matrix, maps)


def _silent_frames(kspace: np.ndarray, frame: np.ndarray) -> list[int]:
    """Frames whose white samples hold hardly more than their noise, where others do."""
    energy = np.bincount(frame, (np.abs(kspace) ** 2).mean((0, 2))) / np.bincount(frame) - 1
    return np.flatnonzero(energy < SILENT * np.median(energy)).tolist() if np.median(energy) > 0 else []


def _brightness(kspace: np.ndarray, trajectory: np.ndarray, density: np.ndarray, maps: np.ndarray) -> float:
    """Brightness of the time-averaged image: one set of settings then serves every scan.

    The gridded image is brought to the scale of the data by least squares: s = <A g, y>_w / <A g, A g>_w.
    """
    import finufft

    shape = maps.shape[1:]
    angle = np.ascontiguousarray(2 * np.pi * trajectory.reshape(-1, 2).T.astype(np.float64))
    samples, weight = kspace.reshape(len(kspace), -1).astype(np.complex128), density.reshape(-1).astype(np.float64)
    pixels = np.sqrt(shape[0] * shape[1])
    coil_images = finufft.nufft2d1(*angle, np.ascontiguousarray(samples * weight), shape, isign=1, eps=1e-6) / pixels
    gridded = (maps.conj() * coil_images.reshape(maps.shape)).sum(0)
    predicted = finufft.nufft2d2(*angle, np.ascontiguousarray(maps * gridded), isign=-1, eps=1e-6) / pixels
    predicted = predicted.reshape(samples.shape)
    factor = np.vdot(predicted * weight, samples) / max(
        np.vdot(predicted * weight, predicted).real, np.finfo(float).tiny
    )
    bright = float(np.percentile(np.abs(factor * gridded), BRIGHT_PERCENTILE))
    return bright if bright > 0 else 1.0
