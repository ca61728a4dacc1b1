"""Noise measurements of ISMRMRD files: those in the file of the scan, or in another file or group."""

from dataclasses import dataclass

import ismrmrd
import numpy as np
from jaxtyping import Complex

from dainr.errors import BadRequest, BadScan
from dainr.io.images.series import UNREADABLE
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_file import read_acquisitions
from dainr.io.scans.ismrmrd_groups import groups
from dainr.io.scans.ismrmrd_oversampling import crop_readout
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.options import ReadOptions

FEWEST_LEFT = 4  # samples a coil


@dataclass(frozen=True, eq=False)
class NoiseFile:
    """Noise from elsewhere: readouts, or samples `coil sample` at the bandwidth of the scan."""

    name: str
    content: Readouts | np.ndarray


def _read_noise(options: ReadOptions) -> NoiseFile | None:
    """The noise that an option names: an ISMRMRD file, FILE:GROUP for a group of one, or a .npy `coil sample`.

    Raises BadRequest where there is none.
    """
    if options.noise is None:
        return None
    what = f"--noise {options.noise}"
    path, group = options.noise_place
    if not path.is_file():
        raise BadRequest(what, "there is no such file", "name an ISMRMRD file, FILE:GROUP or a .npy")
    try:
        if path.suffix == ".npy":
            return NoiseFile(path.name, _samples(np.load(path, allow_pickle=False), what))
        there = groups(path)
        if not there or (group is not None and group not in there):
            raise BadRequest(what, f"it holds {', '.join(there) or 'no acquisitions'}", "name a group of ISMRMRD's")
        chosen = [group] if group is not None else there
        readouts = Readouts.joined([read_acquisitions(path, name) for name in chosen])
    except BadScan as error:
        raise BadRequest(what, error.why, error.fix) from error
    except UNREADABLE as error:
        raise BadRequest(what, f"it cannot be read ({error})", "give an ISMRMRD file or .npy") from error
    noise = readouts.chosen(readouts.flagged(ismrmrd.ACQ_IS_NOISE_MEASUREMENT))
    if not len(noise):
        raise BadRequest(
            what, f"none of its {len(readouts)} readouts is flagged as noise", "name another file or group"
        )
    return NoiseFile(path.name if group is None else f"{path.name}, group {group}", noise)


def noise_samples(
    own: Readouts, options: ReadOptions, n_coils: int, dwell_us: float, band: float, decisions: Decisions
) -> Complex[np.ndarray, "coil noise_sample"] | None:
    """All noise measurements, one after another, at the bandwidth of imaging readouts of this dwell time.

    Where only the middle of these readouts' band is left, without their oversampling, so it is of the noise: receivers
    damp the ends of the band, and the noise in its middle is stronger than all of it on average.
    Those of other coils in the scan's own file are left aside. Where the options name noise, it is that. Raises
    BadRequest where there is none, or of other coils.
    """
    other = _read_noise(options)
    if other is None:
        return _of_these_coils(own, n_coils, dwell_us, band, decisions)
    decisions.say(f"noise from {other.name}", noise_from=other.name)
    if isinstance(other.content, np.ndarray):
        coils, noise = {len(other.content)}, other.content.astype(np.complex64)
    else:
        coils = set(other.content.head["active_channels"].tolist())
        noise = _joined(other.content, dwell_us, band) if len(coils) == 1 else np.zeros((0, 0), np.complex64)
    if coils != {n_coils}:
        why = f"it has {' and '.join(map(str, sorted(coils)))} coils, the scan {n_coils}"
        raise BadRequest(f"--noise {other.name}", why, "give the noise of these coils")
    return noise


def _of_these_coils(
    own: Readouts, n_coils: int, dwell_us: float, band: float, decisions: Decisions
) -> np.ndarray | None:
    alike = own.head["active_channels"] == n_coils
    if not alike.all():
        coils = " and ".join(map(str, np.unique(own.head["active_channels"][~alike]).tolist()))
        decisions.say(
            f"noise of {coils} coils left aside ({int((~alike).sum())} readouts), the scan has {n_coils}:"
            " --noise FILE gives other",
            noise_of_other_coils=int((~alike).sum()),
        )
    return _joined(own.chosen(alike), dwell_us, band) if alike.any() else None


def _joined(readouts: Readouts, dwell_us: float, band: float) -> np.ndarray:
    dwells = readouts.head["sample_time_us"].tolist()
    with np.errstate(invalid="ignore", over="ignore"):  # Scan refuses what is not finite
        parts = [
            _middle_of_band(data, band) * _bandwidth_factor(dwell, dwell_us)
            for data, dwell in zip(readouts.data, dwells, strict=True)
        ]
    return np.concatenate(parts, 1).astype(np.complex64)


def _middle_of_band(noise: np.ndarray, band: float) -> np.ndarray:
    """As many fewer samples, whose spectrum is the middle of the band; all, where few would be left."""
    n = noise.shape[1]
    left = round(n * band)
    if left == n or left < FEWEST_LEFT * len(noise):
        return noise
    return crop_readout(noise[None], 0, n, left)[0][0]


def _bandwidth_factor(noise_dwell_us: float, dwell_us: float) -> float:
    """Noise grows with the root of the bandwidth, one over the dwell time; 1 where either is not stored."""
    return float(np.sqrt(noise_dwell_us / dwell_us)) if noise_dwell_us > 0 and dwell_us > 0 else 1.0


def _samples(array: np.ndarray, what: str) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.dtype.kind != "c" or array.ndim != 2 or array.size == 0:
        raise BadRequest(what, "it holds no complex samples coil x sample", "store noise as coil, sample")
    if not np.isfinite(array).all():
        raise BadRequest(what, "it holds NaN or Inf", "repair or leave it out")
    return array
