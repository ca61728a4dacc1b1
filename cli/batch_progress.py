"""Progress of a batch on stderr: a table on a terminal, a line for every case that ends otherwise."""

import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dainr.errors import BadScan
from dainr.runs.schema import fault
from dainr.runs.stored import read_config_file

from .progress import clock, tell

if TYPE_CHECKING:
    from dainr.studies.batch.work import Job, Outcome

LINE_EVERY_S = 30.0
LINE = {"slice": int, "step": int, "heldout": float, "seconds": float}  # what is shown of a line of the log
COLUMNS = ("Case", "Slice", "Step", "Held-out error", "Time left")


class BatchProgress:
    """Shows what the jobs' run folders say of them."""

    def __init__(self, quiet: bool, n_cases: int) -> None:
        self.quiet, self.n_cases = quiet, n_cases
        self._begun_at = self._said_at = time.monotonic()
        self._ended = 0
        self._live: Any = None

    def __call__(self, jobs: Sequence["Job"], outcomes: list["Outcome"]) -> None:
        """Show where the jobs are."""
        if self.quiet:
            return
        if sys.stderr.isatty():
            self._show_table(jobs, outcomes)
            return
        for outcome in outcomes[self._ended :]:
            tell(f"{outcome.name}: {outcome.status}, {outcome.seconds:.0f} s; {self._left(jobs, outcomes)}")
        if time.monotonic() - self._said_at > LINE_EVERY_S or len(outcomes) > self._ended:
            self._said_at = time.monotonic()
            for row in _running(jobs, outcomes):
                tell("  " + ", ".join(f"{name.lower()} {value}" for name, value in zip(COLUMNS, row, strict=True)))
        self._ended = len(outcomes)

    def say(self, sentence: str) -> None:
        """A line, once."""
        if not self.quiet:
            tell(sentence)

    def close(self) -> None:
        """Take the table down."""
        if self._live is not None:
            self._live.stop()

    def _left(self, jobs: Sequence["Job"], outcomes: list["Outcome"]) -> str:
        """How many cases are left, and for how long at the pace so far."""
        left = len(jobs) - len(outcomes)
        pace = (time.monotonic() - self._begun_at) / max(len(outcomes), 1)
        when = f", about {clock(pace * left)}" if outcomes and left else ""
        return f"{left} of {self.n_cases} left{when}"

    def _show_table(self, jobs: Sequence["Job"], outcomes: list["Outcome"]) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.markup import escape
        from rich.table import Table

        table = Table(*COLUMNS, caption=self._left(jobs, outcomes), caption_justify="left")
        for row in _running(jobs, outcomes):
            table.add_row(*map(escape, row))
        if self._live is None:
            self._live = Live(console=Console(stderr=True), auto_refresh=False)
            self._live.start()
        for outcome in outcomes[self._ended :]:
            ended = f"{outcome.name}: {outcome.status}, {outcome.seconds:.0f} s"
            self._live.console.print(ended, markup=False, highlight=False)
        self._ended = len(outcomes)
        self._live.update(table, refresh=True)


def _running(jobs: Sequence["Job"], outcomes: list["Outcome"]) -> list[tuple[str, ...]]:
    """A row for every case that has begun and not ended, from the log of its run."""
    ended = {outcome.name for outcome in outcomes}
    rows: list[tuple[str, ...]] = []
    for job in jobs:
        if job.case.name in ended or not (job.run / "config.toml").is_file():
            continue
        try:
            line = json.loads((job.run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
            if fault(line, LINE) or line["step"] < 1:
                raise ValueError("it is no line of a log")
        except (OSError, ValueError, IndexError, RecursionError):
            rows.append((job.case.name, "", "starting", "", ""))
            continue
        rows.append((job.case.name, str(line["slice"]), *_figures(job, line)))
    return rows


def _figures(job: "Job", line: dict[str, Any]) -> tuple[str, str, str]:
    try:
        fit = read_config_file(job.run / "config.toml")["config"].get("fit", {})
    except BadScan:
        fit = {}
    if fault(fit, {"iterations?": int, "budget_s?": float}):
        fit = {}
    steps, budget = fit.get("iterations", 0), fit.get("budget_s", 0.0)
    left = budget - line["seconds"] if budget else line["seconds"] / line["step"] * (steps - line["step"])
    return f"{line['step']}{f' of {steps}' if steps else ''}", f"{line['heldout']:.4f}", clock(max(left, 0.0))
