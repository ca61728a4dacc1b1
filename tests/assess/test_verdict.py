"""The verdict: each finding a fit can earn, and the worst of them on top."""

import math
from typing import Any

import pytest

from dainr.assess.verdict import Finding, judge


def fit(**changes: Any) -> dict[str, Any]:
    """A fit with nothing to complain about."""
    good = {
        "steps": 100,
        "stopped": "converged",
        "best_step": 80,
        "in_sample_error": 0.11,
        "noise_error": 0.1,
        "heldout_error": 0.12,
        "heldout_noise_error": 0.1,
        "frame_errors": [0.11, 0.1, 0.12],
        "validations": validations(0.3, 0.2, 0.15, 0.12, 0.12),
    }
    return good | changes


def validations(*errors: float) -> list[dict[str, float]]:
    """Validations at even steps up to 100."""
    return [{"step": 100 * (i + 1) // len(errors), "heldout": e, "seconds": 1.0} for i, e in enumerate(errors)]


def findings(*fits: dict[str, Any]) -> list[Finding]:
    return judge({"slices": [{"fit": f} for f in fits]})


def the_one(found: list[Finding], words: str) -> Finding:
    (finding,) = [f for f in found if words in f.text]
    return finding


def test_a_good_fit_is_good_all_through() -> None:
    found = findings(fit())
    assert {f.level for f in found} == {"good"}
    assert "anatomy and motion can be read" in found[0].text
    assert len(found) == 4


@pytest.mark.parametrize(
    ("error", "level", "overall"),
    [
        (0.1, "good", "can be read"),
        (0.2, "caution", "usable, with the reservations"),
        (0.5, "poor", "Do not read fine detail"),
    ],
)
def test_the_held_out_error_beyond_the_noise_decides(error: float, level: str, overall: str) -> None:
    found = findings(fit(heldout_error=error, in_sample_error=error))
    assert the_one(found, "never saw, the fit is off by").level == level
    assert found[0].level == level
    assert overall in found[0].text


def test_the_excess_is_the_root_of_the_squares_difference_and_never_negative() -> None:
    assert "leaves 12.0% to" in the_one(findings(fit(heldout_error=0.13, heldout_noise_error=0.05)), "leaves").text
    assert "leaves 0.0% to" in the_one(findings(fit(heldout_error=0.095)), "leaves").text


@pytest.mark.parametrize(
    ("error", "level", "overall"),
    [(0.05, "good", "can be read"), (0.12, "caution", "reservations"), (0.2, "poor", "Do not read fine detail")],
)
def test_the_expected_error_of_the_images_decides_where_it_is_known(error: float, level: str, overall: str) -> None:
    found = findings(fit(heldout_error=0.1, image_error=error, image_error_range=[0.75 * error, 1.5 * error]))
    finding = the_one(found, f"expected to be off by {error:.1%}")
    assert finding.level == found[0].level == level
    assert overall in found[0].text
    assert f"{-20 * math.log10(error):.0f} dB" in finding.text
    assert f"most likely by {0.75 * error:.1%} to {1.5 * error:.1%}" in finding.text


def test_an_error_below_the_noise_tells_of_the_noise() -> None:
    finding = the_one(findings(fit(heldout_error=0.08)), "the noise is overestimated")
    assert finding.level == "caution" and "8.0%" in finding.text and "10.0%" in finding.text


def test_following_the_noise_is_a_caution() -> None:
    found = findings(fit(in_sample_error=0.05))
    assert the_one(found, "some of that noise is in the image").level == "caution"
    assert found[0].level == "caution"


def test_fitting_the_sampling_is_a_caution() -> None:
    finding = the_one(findings(fit(heldout_error=0.3, in_sample_error=0.1)), "fitted to the sampling")
    assert finding.level == "caution"
    assert "3.0 times" in finding.text


def test_readouts_with_less_signal_than_others_are_no_worse_for_it() -> None:
    found = findings(fit(heldout_error=0.3, heldout_noise_error=0.25))
    assert not any("fitted to the sampling" in finding.text for finding in found)


def test_without_held_out_readouts_nothing_checks_the_fit() -> None:
    bare = {k: v for k, v in fit().items() if not k.startswith("heldout")}
    found = findings(bare)
    assert the_one(found, "No readouts were held out").level == "caution"
    assert found[0].level == "caution"


def test_an_interrupted_fit_is_told_to_resume() -> None:
    assert the_one(findings(fit(stopped="interrupted")), "after 100 steps: resume it").level == "caution"


def test_a_network_that_was_only_applied_is_told_from_one_that_learned() -> None:
    found = findings(fit(steps=0, stopped="", validations=[]))
    assert the_one(found, "learned nothing from this scan").level == "caution"
    assert not any("budget" in f.text for f in found)


def test_a_converged_fit_names_the_state_kept() -> None:
    assert the_one(findings(fit()), "It converged: the state kept is that of step 80 of 100").level == "good"


@pytest.mark.parametrize("errors", [(0.3, 0.2, 0.15, 0.12, 0.1), (0.2,)], ids=["falling", "too few to tell"])
def test_a_budget_spent_while_the_error_fell_asks_for_more(errors: tuple[float, ...]) -> None:
    found = findings(fit(stopped="budget", validations=validations(*errors)))
    assert the_one(found, "a larger budget will give a better image").level == "caution"


def test_a_budget_spent_after_the_error_settled_is_good() -> None:
    found = findings(fit(stopped="budget", validations=validations(0.3, 0.12, 0.12, 0.12, 0.12)))
    assert the_one(found, "had settled").level == "good"


def test_an_uneven_residual_points_to_its_frame() -> None:
    found = findings(fit(frame_errors=[0.1, 0.1, 0.3, 0.1]))
    assert the_one(found, "in frame 2 (30.0%; median frame 10.0%)").level == "caution"
    assert the_one(findings(fit()), "even over time").level == "good"


def test_two_frames_are_too_few_to_single_one_out() -> None:
    assert not [f for f in findings(fit(frame_errors=[0.1, 0.9])) if "largest residual" in f.text]


def test_slices_are_named_where_there_are_several_and_the_worst_decides() -> None:
    found = findings(fit(), fit(heldout_error=0.5, in_sample_error=0.5))
    assert found[0].level == "poor"
    assert the_one(found, "Slice 1: On readouts").level == "poor"
    assert the_one(found, "Slice 0: On readouts").level == "good"
    assert not any("Slice" in f.text for f in findings(fit()))


def test_a_method_that_fits_nothing_says_so() -> None:
    found = judge({"slices": [{"prepare": {}}]})
    assert [(f.level, "not validated" in f.text) for f in found] == [("caution", True)]


def test_frames_without_signal_are_named_and_are_not_the_worst() -> None:
    errors = [0.1, 0.1, 5.0, 0.1, 0.11]
    found = judge({"slices": [{"fit": fit(frame_errors=errors), "prepare": {"frames_without_signal": [2]}}]})
    assert the_one(found, "Frame 2 holds no signal").level == found[0].level == "caution"
    assert "in frame 4 (11.0%" in the_one(found, "largest residual").text
    classical = judge({"slices": [{"prepare": {"frames_without_signal": [0, 2]}}, {"prepare": {}}]})
    assert the_one(classical, "Slice 0: Frames 0, 2 hold no signal").level == "caution"


def test_samples_that_end_near_the_centre_are_told() -> None:
    found = judge({"scan": {"k_reach": 0.05}, "slices": [{"fit": fit()}]})
    assert the_one(found, "reach only 0.05 of 0.5 cycles").level == found[0].level == "caution"
    whole = judge({"scan": {"k_reach": 0.5}, "slices": [{"fit": fit()}]})
    assert not any("reach" in f.text for f in whole)
