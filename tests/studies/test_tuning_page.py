"""The pages of a sweep over budgets and of a search over settings."""

import pytest

from dainr.studies.search import Attempt
from dainr.studies.tune import Trial
from dainr.studies.tuning_page import build_search, build_tuning


def trial(budget: float, excess: float, psnr: float | None = None) -> Trial:
    return Trial(budget, budget, budget + 5, round(10 * budget), excess + 0.1, excess, psnr, psnr)


@pytest.mark.parametrize("psnr", [None, 30.0])
def test_the_page_of_a_sweep_shows_the_choice(psnr: float | None) -> None:
    page = build_tuning("<scan>", {"<scan>": [trial(1, 0.3, psnr), trial(2, 0.1, psnr)]}, 2, "[fit]")
    assert "&lt;scan&gt;: 2 s is enough" in page
    assert page.count("<svg") == 1 and "<script>" not in page
    assert ("PSNR, dB" in page) is (psnr is not None)
    assert "in the median" not in page


def test_the_page_of_a_sweep_over_scans_lists_all() -> None:
    page = build_tuning("cases", {name: [trial(1, 0.3), trial(2, 0.1)] for name in ("a", "b", "c")}, 2, "[fit]")
    assert "in the median" in page
    assert page.count('<td class="case">') == 6


@pytest.mark.parametrize(("chosen", "title"), [(0, "may stay as they are"), (2, "20.0 % less error")])
def test_the_page_of_a_search_shows_attempts_best_first(chosen: int, title: str) -> None:
    settings = {"fit.learning_rate": 0.01, "objective.sparsity": 0.06}
    attempts = [Attempt(number, settings, score) for number, score in enumerate([1.0, None, 0.8, None])]
    page = build_search("scan", 1, attempts, attempts[chosen], "[fit]")
    assert title in page and "learning rate" in page
    shown = [part.split("<")[0].split(",")[0] for part in page.split('<td class="case">')[1:]]
    assert shown == ["2", "0", "1", "3"]
    assert page.count("<svg") == 1
