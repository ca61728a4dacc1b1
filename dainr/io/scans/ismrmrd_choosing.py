"""Which readouts of an ISMRMRD file make the cine, where it holds several contrasts, sets, repetitions or averages."""

import numpy as np
from jaxtyping import Bool, Integer

from dainr.errors import BadRequest
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.options import TOGETHER, ReadOptions, dashed

COUNTERS = {"contrast": "contrast", "set": "set_index"}  # of other images; by the options that choose
REPEATS = {"repetition": "repetition", "average": "average"}  # of the same image
SAME_PLACE = 1e-3  # of the largest k: ends of readouts that lie nearer are one
SAME_SAMPLES = ("slice", "kspace_encode_step_1", "kspace_encode_step_2")


def of_one_image(
    readouts: Readouts, candidates: Bool[np.ndarray, " readout"], options: ReadOptions, decisions: Decisions
) -> Bool[np.ndarray, " readout"]:
    """Which readouts are of the contrast and the set that are asked for, or of the first; the others are counted.

    Only the candidates are looked at. Raises BadRequest for a contrast or set that is not there.
    """
    chosen = np.ones(len(readouts), bool)
    for counter, option in COUNTERS.items():
        numbers = readouts.counter(counter)
        there = np.unique(numbers[candidates & chosen])
        wanted = _wanted(getattr(options, option), option, there)
        if len(there) > 1 or wanted != (there[0] if len(there) else 0):
            count = int((candidates & chosen & (numbers != wanted)).sum())
            told = f"idx.{counter} has {len(there)} values, {wanted} is read, {count} readouts of others are skipped"
            decisions.say(f"{told}: --{dashed(option)} takes another", **{option: int(wanted)})
        chosen &= numbers == wanted
    return chosen


def of_one_pass(imaging: Readouts, options: ReadOptions, decisions: Decisions) -> Readouts:
    """The readouts of the repetition and the average that are asked for.

    Where frames are counted otherwise and nothing is asked for, those of the first, if one pass measured again what
    another had; else of all of them, each of which then measured a part. Raises BadRequest for what is not there.
    """
    for counter, option in REPEATS.items():
        asked = getattr(options, option)
        if asked is not None and asked != TOGETHER:
            numbers = imaging.counter(counter)
            there = np.unique(numbers)
            wanted = _wanted(asked, option, there)
            if len(there) > 1:
                told = f"idx.{counter} has {len(there)} values, {wanted} is read, as was said"
                decisions.say(told, **{option: int(wanted)})
            imaging = imaging.chosen(numbers == wanted)
    frames = next((c for c in ("phase", "repetition") if len(np.unique(imaging.counter(c))) > 1), None)
    for counter, option in REPEATS.items():
        if counter != frames:
            imaging = _first_pass(imaging, counter, option, frames, options, decisions)
    return imaging


def _wanted(asked: int | None, option: str, there: np.ndarray) -> int:
    if asked is None or not len(there):
        return int(there[0]) if len(there) else 0
    if asked not in there:
        choice = ", ".join(map(str, there.tolist()))
        raise BadRequest(
            f"--{dashed(option)} {asked}", f"there is no such {option.partition('_')[0]}", f"choose {choice}"
        )
    return int(asked)


def _first_pass(
    imaging: Readouts, counter: str, option: str, frames: str | None, options: ReadOptions, decisions: Decisions
) -> Readouts:
    numbers = imaging.counter(counter)
    passes = np.unique(numbers)
    frame = np.zeros(len(imaging), np.int64) if frames is None else imaging.counter(frames)
    of_frame = np.unique(np.stack([frame, numbers], 1), axis=0)
    if len(passes) == 1 or len(of_frame) == len(np.unique(frame)):  # they vary together, one to one
        return imaging
    several = f"idx.{counter} has {len(passes)} values within " + ("the scan" if frames is None else f"idx.{frames}")
    if options.average == TOGETHER or frames is None:
        why = "as was said" if options.average == TOGETHER else f"in order of time: --{option} takes one"
        decisions.say(f"{several}: all are taken together, {why}", **{f"{option}s": "together"})
        return imaging
    if not _measured_again(imaging, frame, numbers):
        decisions.say(
            f"{several}, each with other readouts: all are taken together, --{option} takes one",
            **{f"{option}s": "together"},
        )
        return imaging
    told = f"{several}, and the same is measured in several: {passes[0]} alone is read"
    decisions.say(f"{told}, --{option} takes another, --average yes all together", **{option: int(passes[0])})
    return imaging.chosen(numbers == passes[0])


def _measured_again(imaging: Readouts, frame: np.ndarray, numbers: np.ndarray) -> bool:
    """Whether passes of these numbers measured in a frame what others of them had."""
    same = np.column_stack([frame, _place(imaging)])
    each = np.column_stack([same, numbers])
    return len(np.unique(each, axis=0)) > len(np.unique(same, axis=0))


def _place(imaging: Readouts) -> Integer[np.ndarray, "readout number"]:
    """Where readouts lie, as whole numbers: by the ends of their trajectories, or without any by their counters."""
    head, numbers = imaging.head, [imaging.counter(name) for name in SAME_SAMPLES]
    if (head["trajectory_dimensions"] >= 2).all() and head["number_of_samples"].all():
        ends = np.array([points[[0, -1], :2].ravel() for points in imaging.trajectory], np.float64)
        ends = np.nan_to_num(ends, nan=0, posinf=0, neginf=0)  # what is not finite is refused elsewhere
        if ends.any():
            numbers[1:2] = list(np.rint(ends.T / (SAME_PLACE * np.abs(ends).max())).astype(np.int64))
    return np.column_stack(numbers)
