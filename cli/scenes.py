"""`dainr simulate --scenes`: a folder of scans to train networks with, and its progress on stderr."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from dainr.errors import Interrupted

from .progress import LINE_EVERY_S, clock

A_JOB = 16  # scenes that are worth a process of their own


def simulate_scenes(
    folder: Path, count: int, shared: Mapping[str, Any], jobs: int | None, force: bool, quiet: bool
) -> None:
    """Make the scenes that are missing. Raises BadRequest; on Ctrl-C Interrupted, and what is done stays."""
    from dainr.machine.threads import usable_cores
    from dainr.simulate.scene_scans import SceneConfig
    from dainr.studies.scenes import write_scenes

    config = SceneConfig(**{name: value for name, value in shared.items() if value is not None})
    jobs = min(usable_cores(), max(1, count // A_JOB)) if jobs is None else jobs
    progress = _Progress(count, quiet)
    try:
        for _ in write_scenes(folder, count, config, jobs, force):
            progress.step()
    except KeyboardInterrupt as error:
        raise Interrupted(
            "interrupted", f"{progress.done} of {count} scenes are there", "start it again to go on"
        ) from error
    finally:
        progress.close()
    if not quiet:
        typer.echo(f"{folder}: {count} scenes, each a scan with its reference", err=True)


class _Progress:
    """How many scenes are there: a bar on a terminal, a line every few seconds otherwise."""

    def __init__(self, count: int, quiet: bool) -> None:
        self.count, self.quiet, self.done = count, quiet, 0
        self._begun_at = self._said_at = time.monotonic()
        self._bar: Any = None

    def step(self) -> None:
        """One more."""
        self.done += 1
        now = time.monotonic()
        if self.quiet:
            return
        if sys.stderr.isatty():
            self._show()
        elif now - self._said_at > LINE_EVERY_S:
            self._said_at = now
            left = (now - self._begun_at) / self.done * (self.count - self.done)
            typer.echo(f"scene {self.done} of {self.count}  {clock(left)} left", err=True)

    def close(self) -> None:
        """Take the bar down."""
        if self._bar is not None:
            self._bar.stop()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress

        if self._bar is None:
            self._bar = Progress(console=Console(stderr=True))
            self._bar.start()
            self._bar.add_task("scenes", total=self.count)
        self._bar.update(self._bar.task_ids[0], completed=self.done)
