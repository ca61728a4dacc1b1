"""How far to trust a fit, in plain words, from what it says about itself; no reference is needed or read.

The main figure is the expected error of the images, relative to them; see image_error.py. Runs of before it was there
are judged by the error on held-out readouts beyond what noise explains.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dainr.assess.describe import low_reach
from dainr.scan import K_MAX, LOW_REACH

Level = Literal["good", "caution", "poor"]

GOOD_ERROR, POOR_ERROR = 0.10, 0.13  # expected error of the images, relative to them
GOOD_EXCESS, POOR_EXCESS = 0.15, 0.30  # of the signal, held-out error beyond the noise
OVERFIT_RATIO = 1.5  # of held-out to in-sample error, each in units of its readouts' noise
BELOW_NOISE = 0.9  # of the noise: a held-out error as small was measured against too much of it
STILL_FALLING = 0.02  # of the held-out error, over the last fifth of the steps
UNEVEN_FRAME = 1.5  # of a frame's error to the median frame's


@dataclass(frozen=True)
class Finding:
    """One sentence and how good its news is."""

    level: Level
    text: str


def judge(record: Mapping[str, Any]) -> list[Finding]:
    """Findings on a run, the overall one first, from its record."""
    slices, many = record["slices"], len(record["slices"]) > 1
    silent = [s.get("prepare", {}).get("frames_without_signal", []) for s in slices]
    of_data = [f for i, frames in enumerate(silent) for f in _silent(frames, f"Slice {i}: " if many else "")]
    of_data += _coarse(record.get("scan", {}))
    if not any("fit" in s for s in slices):
        unchecked = Finding("caution", "This method is not validated on held-out readouts: compare it with another.")
        return [unchecked, *_unfinished(record), *of_data]
    judged = (_judge_slice(s["fit"], silent[i], f"Slice {i}: " if many else "") for i, s in enumerate(slices))
    findings = [*of_data, *(finding for of_slice in judged for finding in of_slice)]
    worst: Level = "good"
    for level in ("caution", "poor"):
        if any(f.level == level for f in findings):
            worst = level
    overall = {
        "good": "The fit explains readouts it never saw about as well as those it did: anatomy and motion can be read.",
        "caution": "The fit is usable, with the reservations below.",
        "poor": "Do not read fine detail or fast motion from this fit: it predicts unseen data badly.",
    }
    return [Finding(worst, overall[worst]), *findings]


def _coarse(scan: Mapping[str, Any]) -> list[Finding]:
    """Whether only the k-space centre was measured; the trajectory is in cycles per pixel."""
    reach = scan.get("k_reach", K_MAX)
    return [Finding("caution", low_reach(reach))] if reach < LOW_REACH else []


def _unfinished(record: Mapping[str, Any]) -> list[Finding]:
    """What ended before it had converged, of the slices a method iterated on."""
    ended = [(index, s["iterations"]) for index, s in enumerate(record["slices"]) if "iterations" in s]
    return [
        Finding(
            "caution",
            f"{f'Slice {index}: ' if len(ended) > 1 else ''}It ended after {how['steps']} iterations, before it had"
            " converged: more will change the image.",
        )
        for index, how in ended
        if how["stopped"] != "converged"
    ]


def _judge_slice(fit: Mapping[str, Any], silent: Sequence[int], where: str) -> list[Finding]:
    findings = []
    if "heldout_error" in fit:
        findings.append(_heldout(fit, where))
        findings += _overfit(fit, where)
    else:
        findings.append(Finding("caution", f"{where}No readouts were held out, so nothing checks the fit."))
    findings += _convergence(fit, where)
    findings += _worst_frame(fit, where, silent)
    return findings


def _excess(error: float, noise: float) -> float:
    return math.sqrt(max(error**2 - noise**2, 0.0))


def _heldout(fit: Mapping[str, Any], where: str) -> Finding:
    if fit["heldout_error"] < BELOW_NOISE * fit["heldout_noise_error"]:
        return Finding(
            "caution",
            f"{where}On readouts it never saw, the fit is off by {fit['heldout_error']:.1%} of the signal, less than"
            f" their noise of {fit['heldout_noise_error']:.1%}: the noise is overestimated, and with it detail is"
            " smoothed away. A noise measurement in the file would help.",
        )
    if "image_error" in fit:
        return _expected(fit, where)
    excess = _excess(fit["heldout_error"], fit["heldout_noise_error"])
    level: Level = "good" if excess < GOOD_EXCESS else "caution" if excess < POOR_EXCESS else "poor"
    return Finding(
        level,
        f"{where}On readouts it never saw, the fit is off by {fit['heldout_error']:.1%} of the signal; noise alone"
        f" accounts for {fit['heldout_noise_error']:.1%}, which leaves {excess:.1%} to the reconstruction.",
    )


def error_level(error: float) -> Level:
    """How good the news of an expected error of the images is."""
    return "good" if error < GOOD_ERROR else "caution" if error < POOR_ERROR else "poor"


def _expected(fit: Mapping[str, Any], where: str) -> Finding:
    """What readouts the fit never saw make expect of its images."""
    error, (low, high) = fit["image_error"], fit["image_error_range"]
    decibels = -20 * math.log10(max(error, 1e-6))
    return Finding(
        error_level(error),
        f"{where}By readouts it never saw, the images are expected to be off by {error:.1%} of their signal"
        f" ({decibels:.0f} dB below it), most likely by {low:.1%} to {high:.1%}.",
    )


def _overfit(fit: Mapping[str, Any], where: str) -> list[Finding]:
    unseen = _excess(fit["heldout_error"], fit["heldout_noise_error"])
    seen = fit["in_sample_error"]
    # lines held out hold less of the signal than those of the centre, which never are: relative to it they look worse
    noise = max(fit["heldout_noise_error"], 1e-12)
    ratio = fit["heldout_error"] / noise * fit["noise_error"] / max(seen, 1e-12)
    if fit["in_sample_error"] < 0.95 * fit["noise_error"]:
        return [
            Finding(
                "caution",
                f"{where}It follows the readouts it saw to {seen:.1%}, closer than their noise of"
                f" {fit['noise_error']:.1%}: some of that noise is in the image.",
            )
        ]
    if ratio > OVERFIT_RATIO and unseen > GOOD_EXCESS / 2:
        return [
            Finding(
                "caution",
                f"{where}Against their noise, its error on unseen readouts is {ratio:.1f} times that on those it saw:"
                " part of what looks like detail is fitted to the sampling.",
            )
        ]
    return []


def _convergence(fit: Mapping[str, Any], where: str) -> list[Finding]:
    validations = fit["validations"]
    if not fit["steps"]:
        text = (
            "The network was applied as it is, and learned nothing from this scan: what it shows may be of other scans."
        )
        return [Finding("caution", f"{where}{text}")]
    if fit["stopped"] == "interrupted":
        return [Finding("caution", f"{where}It was interrupted after {fit['steps']} steps: resume it to finish.")]
    if fit["stopped"] == "converged":
        return [
            Finding(
                "good", f"{where}It converged: the state kept is that of step {fit['best_step']} of {fit['steps']}."
            )
        ]
    late = [v["heldout"] for v in validations if v["step"] >= 0.8 * fit["steps"]]
    early = [v["heldout"] for v in validations if v["step"] < 0.8 * fit["steps"]]
    if not late or not early or min(late) < (1 - STILL_FALLING) * min(early):
        return [
            Finding(
                "caution",
                f"{where}It stopped on its budget of {fit['steps']} steps while the held-out error was still falling: a"
                " larger budget will give a better image.",
            )
        ]
    return [
        Finding(
            "good",
            f"{where}It used its budget of {fit['steps']} steps; the held-out error had settled, and the state kept is"
            f" that of step {fit['best_step']}.",
        )
    ]


def _silent(silent: Sequence[int], where: str) -> list[Finding]:
    if not silent:
        return []
    which = f"Frame {silent[0]} holds" if len(silent) == 1 else f"Frames {', '.join(map(str, silent))} hold"
    return [Finding("caution", f"{where}{which} no signal: what is shown there was not measured.")]


def _worst_frame(fit: Mapping[str, Any], where: str, silent: Sequence[int]) -> list[Finding]:
    errors = [0.0 if frame in silent else error for frame, error in enumerate(fit["frame_errors"])]
    if len(errors) < 3:
        return []
    median, worst = sorted(errors)[len(errors) // 2], max(range(len(errors)), key=errors.__getitem__)
    uneven = errors[worst] > UNEVEN_FRAME * median
    text = f"{where}The largest residual is in frame {worst} ({errors[worst]:.1%}; median frame {median:.1%})"
    if uneven:
        return [Finding("caution", f"{text}: look there first for motion the fit has missed.")]
    return [Finding("good", f"{text}: the residual is even over time.")]
