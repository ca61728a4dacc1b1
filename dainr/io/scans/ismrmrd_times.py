"""When ISMRMRD readouts were measured: the unit of their time stamps, which the format leaves open, and midnight.

The right unit makes the time from one readout to the next the repetition time, or that of so many readouts as a frame
or a segment has, which some vendors call by that name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.options import TIME_UNITS
from dainr.io.scans.physiology import phase_since_trigger

TICK_S = 2.5e-3  # Siemens' unit of acquisition_time_stamp, kept by the converters
UNITS_S = {"ticks of 2.5 ms": TICK_S, "ms": 1e-3, "us": 1e-6}
RARE_S = {"ticks of 0.1 ms": 1e-4, "ticks of 10 us": 1e-5}
AGREE = 1.25  # ratio of two times that may be one
LONGEST_STEP_S, SHORTEST_STEP_S = 2.0, 2e-4  # from one readout to the next
PAUSE = 4  # times the usual step: more is a pause between two parts of the measurement
DAY_S = 86400.0
COUNTER = 2**32  # where the clock's number starts anew
IN_SECONDS = 0.1  # repetition times below it, in ms, are some converter's seconds


@dataclass(frozen=True)
class Clock:
    """How time stamps are read."""

    unit_s: float
    origin: float  # the earliest stamp
    period: float  # after which the clock starts anew
    step_s: float | None  # time from one readout to the next where there are no stamps

    def seconds(self, stamps: Float[np.ndarray, "*readouts"]) -> Float[np.ndarray, "*readouts"]:
        """Time since the first readout."""
        since = np.asarray(stamps, np.float64) - self.origin
        return np.where(since < -self.period / 2, since + self.period, since) * self.unit_s


def read_clock(
    imaging: Readouts, readouts_per_frame: float, tr_ms: float | None, said: str | None, decisions: Decisions
) -> Clock:
    """How the time stamps of these readouts are read, decided by their repetition time, where the header has one.

    `said`: their unit, one of `options.TIME_UNITS`, where the user said it.
    """
    stamps = imaging.head["acquisition_time_stamp"].astype(np.float64)
    tr_s = None if tr_ms is None else tr_ms if tr_ms < IN_SECONDS else tr_ms * 1e-3
    if tr_ms is not None and tr_ms < IN_SECONDS:
        decisions.say(f"the repetition time of the header, {tr_ms:g}, is read in seconds")
    if np.ptp(stamps) == 0:
        step = tr_s or 1e-3
        decisions.say(f"no time stamps: readouts are taken as {step * 1e3:g} ms apart")
        return Clock(1.0, 0.0, np.inf, step)
    step = _usual_step(stamps)
    segments = len(np.unique(imaging.counter("segment")))
    name, certain = _unit(step, tr_s, [1.0, readouts_per_frame, float(segments)])
    if said is not None:
        name, certain = TIME_UNITS[said], True
    unit_s = (UNITS_S | RARE_S)[name]
    by = (
        "a repetition time would be needed to tell"
        if tr_s is None
        else f"the header's {tr_s * 1e3:g} ms are no such step"
    )
    sure = ", as was said" if said is not None else "" if certain else f" ({by}): --time-unit says it"
    decisions.say(f"time stamps read in {name}{sure}", time_unit=name, time_unit_certain=certain)
    period = _period(stamps, unit_s)
    origin = float(stamps.min())
    if np.ptp(stamps) > period / 2:
        origin = float(stamps[stamps > stamps.max() - period / 2].min())
        decisions.say("the clock passed midnight, or started anew, while it was measured", clock_started_anew=True)
    return Clock(unit_s, origin, period, None)


def cardiac_phases(
    slices: Sequence[Readouts], clock: Clock, decisions: Decisions
) -> list[Float[np.ndarray, " readout"]] | None:
    """Cardiac phases, where the readouts of every slice carry the time since the last trigger."""
    phases = []
    for readouts in slices:
        since = readouts.head["physiology_time_stamp"][:, 0] * clock.unit_s
        times = clock.seconds(readouts.head["acquisition_time_stamp"])
        phases.append(phase_since_trigger(times, since) if np.ptp(since) > 0 else None)
    known = [phase for phase in phases if phase is not None]
    if len(known) < len(phases):
        if known:
            carry = f"only {len(known)} of {len(phases)} slices carry time stamps of the ECG"
            decisions.say(f"{carry}: they are left aside")
        return None
    decisions.say("cardiac phases from the time stamps of the ECG: --frames-per-cycle bins by them")
    return known


def _usual_step(stamps: Float[np.ndarray, " readout"]) -> float:
    """Mean time from one readout to the next, without pauses: stamps are rounded, so single steps tell little."""
    steps = np.diff(np.sort(stamps))
    longest = PAUSE * max(float(np.median(steps)), 1.0)
    return float(steps[steps <= longest].mean()) if (steps <= longest).any() else float(steps.mean())


def _unit(step: float, tr_s: float | None, readouts: Sequence[float]) -> tuple[str, bool]:
    """The unit that makes of a step the repetition time, or that of so many readouts; whether it is certain."""
    if tr_s is not None:
        for name, unit_s in UNITS_S.items():
            if any(_agree(count * step * unit_s, tr_s) for count in readouts):
                return name, True
        for name, unit_s in RARE_S.items():
            if _agree(step * unit_s, tr_s):
                return name, True
    possible = [name for name, unit_s in UNITS_S.items() if SHORTEST_STEP_S <= step * unit_s <= LONGEST_STEP_S]
    return (possible or list(UNITS_S))[0], False


def _agree(one: float, other: float) -> bool:
    return max(one, other) <= AGREE * min(one, other)


def _period(stamps: np.ndarray, unit_s: float) -> float:
    """After how many units the clock starts anew: a day, or as far as its number can count."""
    day = DAY_S / unit_s
    return min(day, COUNTER) if stamps.max() < day else float(COUNTER)
