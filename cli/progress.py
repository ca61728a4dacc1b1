"""Progress on stderr: a bar on a terminal, a line every few seconds otherwise."""

import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from dainr.fit.state import Step

LINE_EVERY_S = 5.0


def tell(text: str) -> None:
    """A line on stderr, if it takes it: a terminal that is gone, or a log on a full disk, ends no fit."""
    with suppress(OSError):
        typer.echo(text, err=True)


class Progress:
    """An observer of a fit that shows step, loss, held-out error and time left."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.heldout: float | None = None
        self._log, self._lines = logging.getLogger("dainr"), _Lines()
        self._bar: Any = None
        self._task: Any = None
        self._name, self._slice = "", -1
        self._printed_at = 0.0

    def show_log(self) -> None:
        """Let what the library logs of its choices appear among the progress, unless quiet."""
        if not self.quiet:
            self._log.addHandler(self._lines)
            self._log.setLevel(logging.INFO)

    def begin(self, name: str) -> list["Progress"]:
        """Say that the fit of a method begins, and watch it."""
        self._name, self._slice = f"{name}, ", -1
        self.say(name)
        return [self]

    def say(self, text: str) -> None:
        """One line, unless quiet."""
        if not self.quiet:
            tell(text)

    def __call__(self, step: "Step") -> None:
        """Show a step."""
        if step.step == 1:
            self.heldout = None
        if step.heldout is not None:
            self.heldout = step.heldout
        if self.quiet:
            return
        if sys.stderr.isatty() or "ipykernel" in sys.modules:
            self._show_bar(step)
        elif step.stopped or time.monotonic() - self._printed_at > LINE_EVERY_S:
            self._printed_at = time.monotonic()
            tell(f"{self._label(step)} {step.step} ({step.progress:.0%})  {self._figures(step)}")

    def close(self) -> None:
        """Take the bar down, and stop showing the log."""
        self._log.removeHandler(self._lines)
        if self._bar is not None:
            self._bar.stop()

    def _label(self, step: "Step") -> str:
        where = f"slice {step.slice + 1} of {step.n_slices}, " if step.n_slices > 1 else ""
        return f"{self._name}{where}step"

    def _figures(self, step: "Step") -> str:
        heldout = "" if self.heldout is None else f"  held-out {self.heldout:.4f} (best {step.best_heldout:.4f})"
        return f"loss {step.loss:.4g}{heldout}  {clock(step.seconds_left)} left"

    def _show_bar(self, step: "Step") -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as Bar

        if self._bar is None:
            columns = (
                TextColumn("{task.description}", markup=False),  # a name may look like markup
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[figures]}"),
            )
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.start()
        if step.slice != self._slice:
            self._slice = step.slice
            self._task = self._bar.add_task("", total=1.0, figures="")
        self._bar.update(
            self._task,
            completed=step.progress,
            description=f"{self._label(step)} {step.step}",
            figures=self._figures(step),
        )


class _Lines(logging.Handler):
    """Every log record as a line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print it."""
        tell(f"  {record.getMessage()}")


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
