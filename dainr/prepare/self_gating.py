"""Heartbeat and breathing from the scan itself: both move what the k-space centre measures, and every spoke passes it.

After Larson et al., Magn Reson Med 2004;51:93. What depends on a spoke's angle is taken off, and the coils' signals are
reduced to what they share at the rates of the heart, whose peaks stand for triggers, or of the breath.
"""

import numpy as np
from jaxtyping import Bool, Complex, Float

from dainr.errors import BadRequest
from dainr.prepare.density import passes_centre

HEART_HZ, BREATH_HZ = (0.6, 2.5), (0.1, 0.5)
NARROW = {HEART_HZ: (0.6, 1.6), BREATH_HZ: (0.5, 3.5)}  # of the rate found; breath is no sine, it rests at one end
LEAST_BEATS = 4  # or breaths
NEAR = 0.2  # of the rate found
CLEAR = 8.0  # times as strong as noise, which is measured above all heart rates
ASKED = {  # the option, what it looks for, what to do where that is not seen
    HEART_HZ: ("--frames-per-cycle", "heartbeat", "use --spokes-per-frame"),
    BREATH_HZ: ("--respiratory-bins", "breathing", "leave it out"),
}


def self_gated_phase(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    times: Float[np.ndarray, " readout"],
) -> Float[np.ndarray, " readout"]:
    """Cardiac phase in [0, 1) of every spoke; where in the cycle phase 0 lies is not known.

    Raises BadRequest where readouts do not all pass the k-space centre, are not spread over a few heartbeats, or no
    heartbeat is seen.
    """
    from scipy.signal import find_peaks  # here, for it takes a second and few scans need it

    even, beating, rate = _motion(kspace, trajectory, times, HEART_HZ, "the scan stores no cardiac phases")
    peaks, _ = find_peaks(beating, distance=max(1, round(NARROW[HEART_HZ][0] / (rate * (even[1] - even[0])))))
    if len(peaks) < LEAST_BEATS:
        raise BadRequest("--frames-per-cycle", "too few heartbeats are seen in the k-space centre", "use --frames")
    return _between(even[peaks], times)


def chest_at_rest(
    kspace: Complex[np.ndarray, "coil readout sample"],
    trajectory: Float[np.ndarray, "readout sample 2"],
    times: Float[np.ndarray, " readout"],
    n_bins: int,
) -> Bool[np.ndarray, " readout"]:
    """Which spokes are measured where breathing rests: of `n_bins` bins of equally many, in which it moves the least.

    Raises BadRequest where readouts do not all pass the k-space centre, are not spread over a few breaths, or no
    breathing is seen.
    """
    if not 2 <= n_bins <= len(times):
        raise BadRequest(f"--respiratory-bins {n_bins}", "that is no number of bins", f"choose 2 to {len(times)}")
    why = f"only readouts through the k-space centre over {LEAST_BEATS / BREATH_HZ[0]:.0f} s show breathing"
    even, breathing, _ = _motion(kspace, trajectory, times, BREATH_HZ, why)
    position = np.interp(times, even, breathing)
    bins = np.array_split(np.argsort(position, kind="stable"), n_bins)
    rest = np.zeros(len(times), bool)
    rest[min(bins, key=lambda one: np.ptp(position[one]))] = True
    return rest


def _motion(
    kspace: np.ndarray, trajectory: np.ndarray, times: np.ndarray, band: tuple[float, float], why_not: str
) -> tuple[Float[np.ndarray, " time"], Float[np.ndarray, " time"], float]:
    """What moves the k-space centre at the rates of a band, at even times, and at which rate it does so most."""
    order = np.argsort(times, kind="stable")
    step = float(np.median(np.diff(times[order])))
    if not passes_centre(trajectory) or not step > 0 or np.ptp(times) < LEAST_BEATS / band[0]:
        raise BadRequest(ASKED[band][0], why_not, ASKED[band][2])
    even = np.arange(times.min(), times.max(), step)
    centre = _without_angle(_centre(kspace, trajectory), trajectory)[order]
    signals = np.stack([np.interp(even, times[order], column) for column in centre.T], 1)
    return even, *_strongest(signals, step, band)


def _centre(
    kspace: Complex[np.ndarray, "coil readout sample"], trajectory: Float[np.ndarray, "readout sample 2"]
) -> Float[np.ndarray, "readout coil"]:
    """Magnitudes at the k-space centre, relative to each coil's mean."""
    nearest = np.hypot(trajectory[..., 0], trajectory[..., 1]).argmin(1)
    samples = np.clip(nearest[:, None] + np.array([-1, 0, 1]), 0, kspace.shape[2] - 1)
    magnitude = np.abs(np.take_along_axis(kspace, samples[None], 2)).sum(2).T.astype(np.float64)
    mean = magnitude.mean(0)
    return (magnitude - mean) / np.maximum(mean, np.finfo(float).tiny) * np.sqrt(mean)


def _without_angle(
    signals: Float[np.ndarray, "readout coil"], trajectory: Float[np.ndarray, "readout sample 2"]
) -> Float[np.ndarray, "readout coil"]:
    """What harmonics of a spoke's angle do not explain."""
    along = trajectory[:, -1] - trajectory[:, 0]
    angle = np.arctan2(along[:, 0], along[:, 1])
    harmonics = [function(n * angle) for n in (1, 2, 3, 4) for function in (np.cos, np.sin)]
    design = np.stack([np.ones_like(angle), *harmonics], 1)
    return signals - design @ np.linalg.lstsq(design, signals, rcond=None)[0]


def _strongest(
    signals: Float[np.ndarray, "time coil"], step: float, rates: tuple[float, float]
) -> tuple[Float[np.ndarray, " time"], float]:
    """What the coils share near the strongest rate, and that rate in Hz. Raises BadRequest for noise."""
    frequency = np.fft.rfftfreq(len(signals), step)
    in_band = (frequency >= rates[0]) & (frequency <= rates[1])
    band = np.fft.irfft(np.fft.rfft(signals, axis=0) * in_band[:, None], len(signals), axis=0)
    spectrum = np.fft.rfft(signals @ np.linalg.svd(band, full_matrices=False)[2][0])
    power = np.abs(spectrum) ** 2
    rate = float(frequency[(power * in_band).argmax()])
    near = np.abs(frequency - rate) <= NEAR * rate
    if not power[near].mean() > CLEAR * np.median(power[frequency > HEART_HZ[1]]):
        option, what, instead = ASKED[rates]
        raise BadRequest(option, f"no {what} is seen in the k-space centre", instead)
    narrow = (frequency >= NARROW[rates][0] * rate) & (frequency <= NARROW[rates][1] * rate)
    return np.fft.irfft(spectrum * narrow, len(signals)), rate


def _between(triggers: Float[np.ndarray, " trigger"], times: Float[np.ndarray, " readout"]) -> np.ndarray:
    """Phases between triggers; the cycle before the first and those after the last are as long as most."""
    length = float(np.median(np.diff(triggers)))
    before = np.arange(triggers[0] - length, times.min() - length, -length)[::-1]
    after = np.arange(triggers[-1] + length, times.max() + 2 * length, length)
    marks = np.concatenate([before, triggers, after])
    beat = np.clip(np.searchsorted(marks, times, side="right") - 1, 0, len(marks) - 2)
    phase = (times - marks[beat]) / (marks[beat + 1] - marks[beat])
    return np.clip(phase, 0, np.nextafter(np.float32(1), np.float32(0))).astype(np.float32)
