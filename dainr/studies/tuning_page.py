"""The page of a sweep over budgets, and that of a search over settings: error, the choice, and the preset it became."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from dainr import __version__
from dainr.report.figures import attempt_scores, budget_curve
from dainr.report.page import render
from dainr.studies.search import Attempt
from dainr.studies.tune import Trial, agreement

RECORD = {"versions": {"dainr": __version__}}


def build_tuning(title: str, sweeps: Mapping[str, Sequence[Trial]], chosen_s: float, preset: str) -> str:
    """The page of a sweep as HTML text; `sweeps` by the name of the scan."""
    curves = {
        name: ([t.budget_s for t in trials], [t.excess for t in trials], [t.psnr for t in trials if t.psnr is not None])
        for name, trials in sweeps.items()
    }
    return render(
        "tuning.html",
        {},
        ("batch.css",),
        record=RECORD,
        title=title,
        sweeps=sweeps,
        ranked={name: agreement(trials) for name, trials in sweeps.items()},
        chosen_s=chosen_s,
        preset=preset,
        plot=Markup(budget_curve(curves, chosen_s)),
    )


def build_search(title: str, n_scans: int, attempts: Sequence[Attempt], chosen: Attempt, preset: str) -> str:
    """The page of a search as HTML text."""
    scores = [(attempt.number, attempt.score) for attempt in attempts if attempt.score is not None]
    return render(
        "search.html",
        {},
        ("batch.css",),
        record=RECORD,
        title=title,
        n_scans=n_scans,
        attempts=sorted(attempts, key=lambda a: math.inf if a.score is None else a.score),
        first=attempts[0],
        chosen=chosen,
        preset=preset,
        plot=Markup(attempt_scores(scores, chosen.number)),
    )
