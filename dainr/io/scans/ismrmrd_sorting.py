"""ISMRMRD acquisitions by what they are for: images, noise, calibration, and what a cine has no use for."""

from collections import Counter
from dataclasses import dataclass

import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_choosing import of_one_image, of_one_pass
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.options import ReadOptions

NOISE = ismrmrd.ACQ_IS_NOISE_MEASUREMENT
CALIBRATION, IMAGE_TOO = ismrmrd.ACQ_IS_PARALLEL_CALIBRATION, ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING
FEEDBACK = ismrmrd.ACQ_IS_HPFEEDBACK_DATA, ismrmrd.ACQ_IS_RTFEEDBACK_DATA
SKIPPED = {
    "navigator": (ismrmrd.ACQ_IS_NAVIGATION_DATA,),
    "phase correction": (ismrmrd.ACQ_IS_PHASECORR_DATA,),
    "dummy": (ismrmrd.ACQ_IS_DUMMYSCAN_DATA,),
    "surface-coil correction": (ismrmrd.ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA,),
    "phase stabilisation": (ismrmrd.ACQ_IS_PHASE_STABILIZATION_REFERENCE, ismrmrd.ACQ_IS_PHASE_STABILIZATION),
}
MEASURED_AS = ("active_channels", "number_of_samples", "discard_pre", "discard_post", "trajectory_dimensions")
FEWEST_CALIBRATING = 8  # lines that coil maps can be estimated from
MOST_STRAY = 0.1  # share of the readouts that may be of another size, and are set aside; one may in any case
FEWEST_USUAL = 4  # where so many are of one size


@dataclass(frozen=True, eq=False)
class Sorted:
    """Acquisitions by what they are for, in the order they were measured in."""

    imaging: Readouts
    noise: Readouts
    calibration: Readouts  # of parallel imaging, and of no image


def sort_readouts(readouts: Readouts, where: str, decisions: Decisions, options: ReadOptions = ReadOptions()) -> Sorted:
    """Readouts sorted by their flags and counters. Raises BadScan where none are left for images, or sizes differ, and
    BadRequest where what the options choose is not there.

    A readout that is for calibration and for images is one of images, whatever else its flags say.
    """
    noise = readouts.flagged(NOISE)
    image_too = readouts.flagged(IMAGE_TOO) & ~noise
    own_space = readouts.head["encoding_space_ref"] == 0
    image_too |= _flagged_throughout(readouts, ~noise & own_space, decisions)
    left = ~noise & ~image_too
    for kind, flags in SKIPPED.items():
        left = _skip(kind, readouts.flagged(*flags), left, decisions)
    left = _skip("other encoding space's", ~own_space, left, decisions)
    calibration = left & readouts.flagged(CALIBRATION)
    imaging = (left & ~calibration) | (image_too & own_space)
    imaging = _without_feedback(imaging, readouts.flagged(*FEEDBACK), image_too, decisions)
    of_image = of_one_image(readouts, imaging, options, decisions)
    imaging &= of_image
    if not imaging.any():
        raise BadScan(
            where, "it holds no imaging readouts", "export the imaging measurement, not only noise or calibration"
        )
    images = of_one_pass(_of_one_size(readouts.chosen(imaging), where, decisions), options, decisions)
    if not (calibration & of_image).any():  # measured with other counters than the images, as a scan before them
        of_image = np.ones(len(readouts), bool)
    return Sorted(images, readouts.chosen(noise), readouts.chosen(calibration & of_image))


def _skip(kind: str, those: np.ndarray, left: np.ndarray, decisions: Decisions) -> np.ndarray:
    """What is left without those, which are counted."""
    count = int((left & those).sum())
    if count:
        decisions.say(f"{count} {kind} readouts skipped")
    return left & ~those


def _without_feedback(
    imaging: np.ndarray, feedback: np.ndarray, image_too: np.ndarray, decisions: Decisions
) -> np.ndarray:
    """Feedback is skipped where other readouts make the image; a flag that every readout carries means nothing."""
    if (imaging & feedback).any() and feedback[imaging].all():
        note = "every readout is flagged as feedback: all are read as image readouts"
        decisions.say(note, feedback_flag_ignored=True)
        return imaging
    return _skip("feedback", feedback & ~image_too, imaging, decisions)


def _flagged_throughout(readouts: Readouts, there: np.ndarray, decisions: Decisions) -> np.ndarray:
    """All that is there, where every readout carries a flag that readouts of images do not: it means nothing then."""
    for kind, flag in {"navigator": ismrmrd.ACQ_IS_NAVIGATION_DATA, "calibration": CALIBRATION}.items():
        if there.any() and readouts.flagged(flag)[there].all() and not readouts.flagged(IMAGE_TOO)[there].any():
            decisions.say(f"every readout is flagged as {kind}: all are read as image readouts", flag_ignored=kind)
            return there
    return np.zeros(len(readouts), bool)


def _of_one_size(imaging: Readouts, where: str, decisions: Decisions) -> Readouts:
    """The readouts of the size that nearly all have."""
    counts = Counter(imaging.shapes)
    usual, count = counts.most_common(1)[0]
    stray = len(imaging) - count
    if stray > max(MOST_STRAY * len(imaging), 1 if count >= FEWEST_USUAL else 0):
        told = f"its readouts have different sizes (coil, sample): {sorted(counts)}"
        raise BadScan(where, told, "export one protocol")
    if stray:
        sizes = " and ".join(f"{coils} x {samples}" for coils, samples in sorted(counts) if (coils, samples) != usual)
        told = f"{stray} of {len(imaging)} readouts are of another size ({sizes}, not {usual[0]} x {usual[1]})"
        decisions.say(f"{told}: set aside", readouts_of_another_size=stray)
        imaging = imaging.chosen(np.array([shape == usual for shape in imaging.shapes]))
    if 0 in usual:
        raise BadScan(where, "its readouts hold no samples", "export it again")
    return imaging


def check_alike(imaging: Readouts, where: str) -> None:
    """Raises BadScan where imaging readouts differ in what all must share."""
    for name in ("discard_pre", "discard_post"):
        imaging.check_same(name, where)


def calibration_of(slices: list[Readouts], calibration: Readouts, known: bool, decisions: Decisions) -> list[Readouts]:
    """The calibration readouts of every slice, measured as its imaging readouts are; none where a slice has too few.

    `known`: whether it is known where they lie.
    """
    if not len(calibration):
        return []
    if not known:
        decisions.say(f"{len(calibration)} parallel-imaging calibration readouts skipped: where they lie is not known")
        return []
    first, alike = slices[0].head[0], np.ones(len(calibration), bool)
    for name in MEASURED_AS if first["trajectory_dimensions"] else (*MEASURED_AS, "center_sample"):
        alike &= calibration.head[name] == first[name]
    numbers = calibration.counter("slice")
    if len({int(readouts.counter("slice")[0]) for readouts in slices}) < len(slices):
        decisions.say(f"{len(calibration)} parallel-imaging calibration readouts skipped: slices share a number")
        return []
    parts = [calibration.chosen(alike & (numbers == readouts.counter("slice")[0])) for readouts in slices]
    fewest = min(len(np.unique(part.counter("kspace_encode_step_1"))) for part in parts)
    if fewest < FEWEST_CALIBRATING:
        why = f"fewer than {FEWEST_CALIBRATING} lines of a slice are measured as its images are"
        decisions.say(f"{len(calibration)} parallel-imaging calibration readouts skipped: {why}")
        return []
    count = sum(map(len, parts))
    note = f"{count} readouts are for parallel-imaging calibration alone"
    decisions.say(f"{note}: coil maps are estimated from them, and nothing else", calibration_readouts=count)
    return parts


def of_one_length(slices: list[Readouts], decisions: Decisions) -> list[Readouts]:
    """The first readouts of every slice, as many as the shortest has: nothing says which belong together."""
    shortest, longest = min(map(len, slices)), max(map(len, slices))
    if shortest < longest:
        decisions.say(f"slices have from {shortest} to {longest} readouts: the first {shortest} of each are used")
    return [readouts.chosen(slice(shortest)) for readouts in slices]
