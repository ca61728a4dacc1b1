"""A sweep over budgets: the smallest that is enough, by held-out readouts alone."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dainr.errors import BadRequest
from dainr.fit import loop as fit_module
from dainr.methods.dainr.config import DainrConfig
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.studies.tune import Trial, agreement, as_preset, recommend, sweep, with_budget
from tests.conftest import TINY
from tests.helper import repeated

CONFIG = build_config(DainrConfig, {}, [*TINY, "device=cpu"])


def trial(budget: float, excess: float, psnr: float | None = None) -> Trial:
    return Trial(budget, budget, budget + 5, round(10 * budget), excess + 0.1, excess, psnr, psnr)


@pytest.mark.parametrize(
    ("errors", "chosen"), [([0.3, 0.2, 0.1], 4), ([0.3, 0.102, 0.1], 2), ([0.1, 0.1, 0.11], 1), ([0.2, 0.1, 0.099], 2)]
)
def test_the_smallest_budget_that_is_nearly_the_best_is_enough(errors: list[float], chosen: float) -> None:
    trials = [trial(budget, error) for budget, error in zip((1, 2, 4), errors, strict=True)]
    assert recommend([trials]) == recommend([trials[::-1]]) == chosen


def test_of_several_scans_the_median_decides() -> None:
    quick, slow = ([trial(1, 0.1), trial(2, 0.1)], [trial(2, 0.5), trial(1, 0.9)])
    assert recommend([quick, quick, slow]) == 1
    assert recommend([quick, slow, slow]) == 2
    assert recommend([[trial(1, 0.0), trial(2, 0.0)]]) == 1


def test_a_reference_only_checks() -> None:
    agreeing = [trial(1, 0.3, 30), trial(2, 0.2, 31), trial(4, 0.1, 32)]
    assert agreement(agreeing) == pytest.approx(1)
    against = [replace(t, psnr=-t.psnr) for t in agreeing if t.psnr]
    assert agreement(against) == pytest.approx(-1)
    assert recommend([against]) == recommend([agreeing])
    assert agreement([trial(1, 0.3), trial(2, 0.2)]) is None
    assert agreement(agreeing[:1]) is None


@pytest.fixture
def steady_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock of the fit on which every look takes a millisecond, so that no budget depends on the machine."""
    looks = itertools.count()
    monkeypatch.setattr(fit_module, "time", SimpleNamespace(perf_counter=lambda: next(looks) * 1e-3))


@pytest.mark.usefixtures("steady_steps")
def test_a_scan_is_fitted_once_a_budget_shortest_first(radial_scan: Scan) -> None:
    trials = list(sweep(radial_scan, CONFIG, [0.04, 0.01, 0.04], radial_scan.reference))
    assert [t.budget_s for t in trials] == [0.01, 0.04]
    assert trials[0].steps < trials[1].steps
    for t in trials:
        assert 0 < t.excess < t.heldout < 1
        assert t.psnr is not None and t.psnr > 10
        assert t.total_s > t.fit_s > 0


def test_of_a_stack_the_middle_slice_is_fitted(radial_scan: Scan) -> None:
    stack = repeated(replace(radial_scan, reference=None), 3)
    stack = replace(stack, kspace=stack.kspace * np.array([1, 0.5, 2], np.float32)[:, None, None, None])
    assert radial_scan.reference is not None
    (first,) = sweep(stack, CONFIG, [0.1], np.concatenate([radial_scan.reference * f for f in (0, 1, 0)]))
    assert first.psnr is not None and first.psnr > 10


def test_without_held_out_readouts_nothing_can_be_chosen(radial_scan: Scan) -> None:
    config = build_config(DainrConfig, {}, [*TINY, "device=cpu", "holdout=0"])
    with pytest.raises(BadRequest, match="nothing judges a fit"):
        list(sweep(radial_scan, config, [0.1]))


def test_the_preset_holds_what_was_changed_and_the_budget() -> None:
    preset = as_preset(with_budget(CONFIG, 2.5), "from a scan")
    assert preset.pop("about") == "from a scan"
    assert "device" not in preset and "objective" not in preset
    again = build_config(DainrConfig, preset)
    assert (again.fit.budget_s, again.fit.iterations) == (2.5, 0)
    assert again.warped == CONFIG.warped
