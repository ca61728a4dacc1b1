"""Cardiac phases from what the scanner stores of the ECG: the time since the last trigger."""

import numpy as np
from jaxtyping import Float


def phase_since_trigger(
    times: Float[np.ndarray, " readout"], since: Float[np.ndarray, " readout"]
) -> Float[np.ndarray, " readout"] | None:
    """Cardiac phase in [0, 1) of readouts at times (s), each so long (s) after the trigger before it.

    The last beat, whose end is not seen, has the median length. None where fewer than two triggers are seen.
    """
    order = np.argsort(times, kind="stable")
    number = np.concatenate([[0], np.cumsum(np.diff(since[order]) < 0)])
    n_beats = int(number[-1]) + 1
    if n_beats < 2:
        return None
    trigger = np.array([np.median((times - since)[order][number == beat]) for beat in range(n_beats)])
    lengths = np.diff(trigger)
    if not (lengths > 0).all():
        return None
    lengths = np.append(lengths, np.median(lengths))
    phase = np.empty(len(order))
    phase[order] = (times[order] - trigger[number]) / lengths[number]
    return np.clip(phase, 0, np.nextafter(np.float32(1), np.float32(0))).astype(np.float32)
