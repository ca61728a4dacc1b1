"""The page of a training: the curve, the validation scans, the data, what was skipped and all settings."""

from markupsafe import Markup

from dainr import __version__
from dainr.report.figures import training_curve
from dainr.report.page import render
from dainr.studies.train.result import Trained

RECORD = {"versions": {"dainr": __version__}}


def build_page(found: Trained, name: str) -> str:
    """The page as HTML text; `name` is that of the weights."""
    return render(
        "training.html",
        {},
        ("batch.css",),
        record=RECORD,
        found=found,
        facts=found.facts,
        name=name,
        plot=Markup(training_curve(found.state)),
    )
