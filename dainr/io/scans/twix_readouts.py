"""ISMRMRD acquisitions from the readouts of a twix file: data, counters, flags, time stamps, and their place.

Counters and flags are put where siemens_to_ismrmrd puts them, so that one reader serves both.
"""

from collections.abc import Iterable
from typing import Any

import ismrmrd
import numpy as np

from dainr.io.scans.twix_file import Measurement
from dainr.io.scans.twix_protocol import Protocol

NS_TO_US = 1e-3
NOISE = ismrmrd.ACQ_IS_NOISE_MEASUREMENT
COUNTERS = {
    "kspace_encode_step_1": "Lin",
    "kspace_encode_step_2": "Par",
    "average": "Ave",
    "slice": "Sli",
    "contrast": "Eco",
    "phase": "Phs",
    "repetition": "Rep",
    "set": "Set",
    "segment": "Seg",
}
FLAGS = {
    "NOISEADJSCAN": NOISE,
    "PATREFANDIMASCAN": ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING,
    "REFLECT": ismrmrd.ACQ_IS_REVERSE,
    "PHASCOR": ismrmrd.ACQ_IS_PHASECORR_DATA,
    "RTFEEDBACK": ismrmrd.ACQ_IS_RTFEEDBACK_DATA,
    "HPFEEDBACK": ismrmrd.ACQ_IS_HPFEEDBACK_DATA,
    "noname60": ismrmrd.ACQ_IS_NAVIGATION_DATA,  # of free induction decays
    "REFPHASESTABSCAN": ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE,
    "PHASESTABSCAN": ismrmrd.ACQ_IS_PHASE_STABILIZATION,
    "RETRO_DUMMYSCAN": ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    "RETRO_LASTHEARTBEAT": ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    "B1_CONTROLLOOP": ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
    "MDH_VOP": ismrmrd.ACQ_IS_DUMMYSCAN_DATA,
}


def acquisitions(measurement: Measurement, notes: list[str]) -> list[Any]:
    """All readouts of a measurement, `ismrmrd.Acquisition`s in the order they were measured in."""
    dwell_us = _dwell_us(measurement)
    made = [_acquisition(block, dwell_us) for block in measurement.readouts()]
    noise = [a for a in made if a.is_flag_set(NOISE)]
    for acquisition in noise:
        acquisition.sample_time_us = 0  # the protocol's is that of the image readouts
    if noise:
        notes.append("the dwell time of its noise readouts is not stored: it is taken as that of the images")
    return made


def borrowed_noise(found: list[Measurement], chosen: Measurement, readouts: list[Any], notes: list[str]) -> list[Any]:
    """Noise readouts of the adjustments before a measurement that has none, where they are of the same coils."""
    if any(a.is_flag_set(NOISE) for a in readouts):
        return []
    coils = next((_coils(block) for block in chosen.readouts() if block.is_image_scan()), None)
    for other in reversed(found[: chosen.number]):
        blocks = [block for block in other.readouts() if block.is_flag_set("NOISEADJSCAN")]
        if not blocks:
            continue
        if any(_coils(block) != coils for block in blocks):
            notes.append(f"the noise of measurement {other.number} ({other.name}) is of other coils: left aside")
            continue
        notes.append(f"noise from measurement {other.number} ({other.name})")
        dwell_us = _dwell_us(other)
        return [_acquisition(block, dwell_us) for block in blocks]
    return []


def _coils(block: Any) -> list[int]:
    """The receivers of a readout, in their order."""
    if block.channel_hdr is None:  # software VB
        return list(range(block.mdh.UsedChannels))
    return [int(channel.ChannelId) for channel in block.channel_hdr]


def _dwell_us(measurement: Measurement) -> float:
    """Time from one sample to the next, us; 0 where the protocol does not tell."""
    return max(Protocol(measurement).told("sRXSPEC", "alDwellTime", 0) or 0.0, 0.0) * NS_TO_US


def _acquisition(block: Any, dwell_us: float) -> Any:
    """One readout."""
    head = block.mdh
    acquisition = ismrmrd.Acquisition.from_array(np.array(block.data, np.complex64))
    for flag in _flags(block):
        acquisition.set_flag(flag)
    for theirs, name in COUNTERS.items():
        setattr(acquisition.idx, theirs, getattr(head.Counter, name))
    acquisition.idx.user[5], acquisition.idx.user[6] = head.CenterLin, head.CenterPar
    acquisition.scan_counter, acquisition.measurement_uid = head.ScanCounter, max(head.MeasUID, 0)
    acquisition.acquisition_time_stamp = head.TimeStamp
    acquisition.physiology_time_stamp[0] = head.PMUTimeStamp
    acquisition.center_sample, acquisition.sample_time_us = head.CenterCol, dwell_us
    acquisition.discard_pre, acquisition.discard_post = head.CutOff.Pre, head.CutOff.Post
    place = head.SliceData.SlicePos
    acquisition.position[:] = place.Sag, place.Cor, place.Tra
    phase, read, along = _rotation(np.array(head.SliceData.Quaternion, np.float64)).T
    acquisition.phase_dir[:], acquisition.read_dir[:], acquisition.slice_dir[:] = phase, read, along
    return acquisition


def _flags(block: Any) -> Iterable[int]:
    """ISMRMRD's flags of a readout; what is for calibration and for images is no calibration alone."""
    found = [flag for name, flag in FLAGS.items() if block.is_flag_set(name)]
    if block.is_flag_set("PATREFSCAN") and not block.is_flag_set("PATREFANDIMASCAN"):
        found.append(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    return found


def _rotation(quaternion: np.ndarray) -> np.ndarray:
    """The rotation of a unit quaternion (w, x, y, z), whose columns are phase, read and slice direction in LPS."""
    length = np.linalg.norm(quaternion)
    if not length > 0:
        return np.zeros((3, 3))  # no orientation stored
    w, x, y, z = quaternion / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
