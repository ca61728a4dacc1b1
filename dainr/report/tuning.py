"""The page of a sweep over budgets: error against time, the choice, and the preset it became."""

from collections.abc import Sequence

from markupsafe import Markup

from dainr import __version__
from dainr.report.figures import budget_curve
from dainr.report.page import render
from dainr.tune import Trial


def build_tuning(scan: str, trials: Sequence[Trial], chosen: Trial, ranked: float | None, preset: str) -> str:
    """The page as HTML text."""
    return render(
        "tuning.html",
        {},
        record={"versions": {"dainr": __version__}},
        scan=scan,
        trials=trials,
        chosen=chosen,
        ranked=ranked,
        preset=preset,
        plot=Markup(
            budget_curve(
                [trial.budget_s for trial in trials],
                [trial.excess for trial in trials],
                [trial.psnr for trial in trials if trial.psnr is not None],
                trials.index(chosen),
            )
        ),
    )
