"""`dainr train`: a network trained on a folder of scans."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dainr.errors import BadRequest

from . import options
from .interrupt import Interrupt
from .progress import LINE_EVERY_S, Progress, clock

if TYPE_CHECKING:
    from dainr.studies.train.config import TrainConfig
    from dainr.studies.train.folder import TrainingFolder
    from dainr.studies.train.train import Outputs, Task

DEFAULT_NETWORK = "crunet"


@options.shared(
    leave_out=["frames", "error_map"],
    method=f"Network: see dainr methods.  [default: {DEFAULT_NETWORK}]",
    preset="Sizes by name, or a .toml file.  [default: default]",
    iterations="Steps of the training.  [default: 3000]",
    budget="Wall-clock time for the steps: 30m, 8h.",
    set="Any setting, such as loss=ssdu, learning_rate=1e-3, channels=16: see the docs.",
)
def train(
    folder: Annotated[Path, typer.Argument(help="Folder with scan files, in it or in the folders within.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Weights to write, .safetensors; card and page lie beside them.")
    ],
    *,
    asked: options.Asked,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training, for longer where --iterations or --budget say so.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace weights and training of that name.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what came of it as one JSON object.")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network on the scans of a folder, by their samples alone or by their references.

    Example: dainr train scans -o weights.safetensors --set loss=ssdu --budget 1h
    """
    from dainr.studies.train.folder import TrainingFolder
    from dainr.studies.train.train import Outputs

    outputs, progress = Outputs(output), Progress(quiet or as_json)
    work = TrainingFolder(outputs.work)
    if resume:
        work.read_request()  # or there is no training
    else:
        _check_free(folder, outputs, work, force)
    with work.alone():
        if not resume:
            work.check_free(force)  # once more, for another training may have begun here
        task, config = _task(folder, work, asked, resume)
        _run(work, outputs, task, config, resume, progress, as_json)


def _check_free(scans: Path, outputs: "Outputs", work: "TrainingFolder", force: bool) -> None:
    from dainr.export import check_target

    if not scans.is_dir():
        raise BadRequest(str(scans), "there is no such folder", "name a folder of scan files")
    for path in (outputs.weights, outputs.card, outputs.page):
        check_target(path, force, (path.suffix,) if path != outputs.weights else (".safetensors",))
    work.check_free(force)


def _task(folder: Path, work: "TrainingFolder", asked: options.Asked, resume: bool) -> tuple["Task", "TrainConfig"]:
    """What is trained with what: as asked, or as the training that goes on was asked."""
    from dainr.io import ReadOptions
    from dainr.studies.train.config import configure_training
    from dainr.studies.train.folder import Request
    from dainr.studies.train.train import Task, stored_request

    method, preset = asked.given.get("method", ""), asked.given.get("preset", "")
    binning, reading = asked.binning.as_dict(), asked.reading.as_dict()
    request = Request(method, preset, str(folder.resolve()), binning, reading)
    if resume:
        request, config = stored_request(work, request, asked.pairs)
    else:
        method = method or DEFAULT_NETWORK
        preset, config = configure_training(method, preset or None, asked.pairs)
        request = Request(method, preset, request.folder, binning, reading)
    task = Task(request, options.read_binning(request.binning), ReadOptions.parsed(dict(request.reading)))
    return task, config


def _run(
    work: "TrainingFolder",
    outputs: "Outputs",
    task: "Task",
    config: "TrainConfig",
    resume: bool,
    progress: Progress,
    as_json: bool,
) -> None:
    from dainr.studies.train.train import is_complete, train_into

    if resume and is_complete(work, outputs, config):
        typer.echo(f"dainr: the training of {outputs.weights} is complete, nothing to resume.", err=True)
        return
    progress.say(f"{task.request.folder}: {task.request.method}, loss {config.learning.loss}; Ctrl-C saves and stops")
    with Interrupt() as interrupt:
        try:
            found = train_into(
                work, outputs, task, config, resume, [progress], _Scans(progress), lambda: interrupt.requested
            )
        finally:
            progress.close()
    facts = found.facts
    if as_json:
        files = {"weights": str(outputs.weights), "card": str(outputs.card), "page": str(outputs.page)}
        typer.echo(json.dumps(facts | {"skipped": found.index.skipped} | files))
    before, after = facts["validation_error_before"], facts["validation_error"]
    progress.say(f"error of {_count(facts['validation_scans'])}: {before:.1%} before, {after:.1%} now")
    if not found.has_learned:
        progress.say("It has learned next to nothing: give it more steps, more scans or another --set learning_rate.")
    progress.say(f"{clock(facts['seconds'])} of steps. Weights {outputs.weights}, card and page beside them.")
    progress.say(
        f"Apply them: dainr fit scan.h5 --method {facts['method']} --set weights={outputs.weights} --iterations 0"
    )


def _count(scans: int) -> str:
    return "1 validation scan" if scans == 1 else f"{scans} validation scans"


class _Scans:
    """Says how many scans are prepared, and which are skipped."""

    def __init__(self, progress: Progress) -> None:
        import time

        self.progress, self._now = progress, time.monotonic
        self._begun_at = self._said_at = self._now()

    def __call__(self, done: int, of: int, why: str) -> None:
        """A scan is prepared, or skipped for some reason."""
        if why:
            self.progress.say(f"skipped {why}")
        now = self._now()
        if now - self._said_at > LINE_EVERY_S or done == of:
            self._said_at = now
            left = (now - self._begun_at) / done * (of - done)
            self.progress.say(f"scan {done} of {of} prepared  {clock(left)} left")
