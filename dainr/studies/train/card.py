"""The model card of weights: what they are, what they were trained with, how far they can be trusted."""

from pathlib import Path

from dainr.report.page import render_text
from dainr.studies.train.result import Trained


def build_card(found: Trained, weights: str) -> str:
    """The card as Markdown; `weights` is the name of the file."""
    return render_text("card.md", found=found, facts=found.facts, weights=weights, name=Path(weights).stem)
