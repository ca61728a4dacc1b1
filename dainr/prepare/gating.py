"""Heartbeats: how long each was, and which are set aside because they were longer or shorter than most."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

TOLERATED = 0.2  # of the median length of a beat
SPANNED = 0.2  # of its cycle, that a beat's readouts must span to tell its length
MOST = 2 / 3  # of the beats that tell a length: so many must agree, or else times and phases do not belong together


@dataclass(frozen=True, eq=False)
class Beats:
    """The heartbeats of a scan: the one of each readout, and the length of each in s, NaN where nothing tells it."""

    of_readout: Integer[np.ndarray, " readout"]
    lengths: Float[np.ndarray, " beat"]

    @property
    def length(self) -> float:
        """The median length in s, NaN where no beat tells."""
        known = self.lengths[np.isfinite(self.lengths)]
        return float(np.median(known)) if len(known) else np.nan

    @property
    def arrhythmic(self) -> Bool[np.ndarray, " beat"]:
        """Beats a fifth longer or shorter than the median."""
        return np.abs(self.lengths - self.length) > TOLERATED * self.length


def find_beats(times: Float[np.ndarray, " readout"], phase: Float[np.ndarray, " readout"]) -> Beats:
    """The beats of readouts at times (s) and cardiac phases in [0, 1): a beat begins where the phase falls back.

    No length is known where they differ so much that times and phases cannot belong together.
    """
    order = np.argsort(times, kind="stable")
    number = np.concatenate([[0], np.cumsum(np.diff(phase[order]) < 0)])
    of_readout = np.empty(len(order), np.int64)
    of_readout[order] = number
    lengths = np.full(number[-1] + 1, np.nan)
    for beat in range(len(lengths)):
        t, p = times[of_readout == beat].astype(np.float64), phase[of_readout == beat].astype(np.float64)
        if np.ptp(p) > SPANNED and np.ptp(t) > 0:
            lengths[beat] = np.polyfit(p, t, 1)[0]
    beats = Beats(of_readout, lengths)
    known = np.isfinite(lengths).sum()
    return beats if beats.arrhythmic.sum() <= (1 - MOST) * known else Beats(of_readout, np.full_like(lengths, np.nan))
