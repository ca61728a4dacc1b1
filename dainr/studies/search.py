"""Which settings fit best: a search over the few that matter, judged by readouts that no fit saw.

Each attempt fits the middle slice of every scan. Its score is the median over the scans of the held-out error beyond
noise, relative to that of the settings the search began with; hopeless attempts are stopped on the way. The study lies
in a file and goes on from there. https://optuna.org
"""

import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from dainr.errors import BadRequest, Diverged
from dainr.fit.state import Step
from dainr.machine.lock import alone_with
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.method import Dainr
from dainr.scan import Scan
from dainr.settings.build import build_config, config_dict
from dainr.studies.tune import NEARLY, excess_error, middle_slice

log = logging.getLogger(__name__)

SEARCHED = (  # searched by their logarithm, a factor of SPAN to both sides of where the search begins
    "fit.learning_rate",
    "objective.image_variation",
    "objective.canonical_variation",
    "objective.sparsity",
)
SPAN = 3.0
DIGITS = 4  # of a setting, that are tried and written
FIRST_AT_RANDOM = 5  # attempts before the sampler and the pruner learn from them
PRUNE_FROM = 5  # tenths of a fit

Watch = Callable[[Step], bool | None]


@dataclass(frozen=True)
class Attempt:
    """The settings tried and their score, 1 where the search began; None where it was stopped on the way."""

    number: int
    settings: dict[str, float]
    score: float | None


class _Pruned(Exception):
    """An attempt that no longer promises anything."""


def search(
    scans: Sequence[Scan], config: DainrConfig, attempts: int, store: Path, observers: Sequence[Watch] = ()
) -> Iterator[Attempt]:
    """Attempts on binned scans, those of an earlier call in the same file first, until there are as many as asked.

    With other scans or another config the file begins a study of its own. Raises BadRequest when nothing is held out,
    when no setting can be searched, for a file that is no study, and while another search is at work in it.
    """
    start = _start(config)
    with alone_with(store, "another search"):
        yield from _search(scans, config, start, attempts, store, observers)


def _search(
    scans: Sequence[Scan],
    config: DainrConfig,
    start: dict[str, float],
    attempts: int,
    store: Path,
    observers: Sequence[Watch],
) -> Iterator[Attempt]:
    import optuna

    spread = {
        name: optuna.distributions.FloatDistribution(value / SPAN, value * SPAN, log=True)
        for name, value in start.items()
    }
    scans = [middle_slice(scan) for scan in scans]
    study, state = _open(store, scans, config), optuna.trial.TrialState
    if not any(trial.state in (state.COMPLETE, state.WAITING) for trial in study.trials):
        study.enqueue_trial(start)
    before = [_attempt(place, trial) for place, trial in enumerate(t for t in study.trials if t.state.is_finished())]
    yield from before
    for number in range(len(before), attempts):
        # anew for each, so that attempts killed on the way change nothing of those after them
        study.sampler = optuna.samplers.TPESampler(seed=config.seed + number, n_startup_trials=FIRST_AT_RANDOM)
        trial = study.ask(spread)
        try:
            errors = _errors(scans, build_config(DainrConfig, _with(config, trial.params)), trial, observers)
        except (_Pruned, Diverged) as stopped:
            study.tell(trial, state=state.PRUNED)
            if trial.params == start:
                raise
            log.info("attempt %d stopped: %s", number, stopped)
        else:
            trial.set_user_attr("errors", errors)
            first = next((t.user_attrs["errors"] for t in study.trials if "errors" in t.user_attrs), errors)
            study.tell(trial, median(e / max(f, 1e-12) for e, f in zip(errors, first, strict=True)))
        yield _attempt(number, study.trials[trial.number])


def choose(attempts: Sequence[Attempt]) -> Attempt:
    """The best attempt, or the first that ended if the best is hardly better: a gain within 0.2 dB is none."""
    ended = [(attempt.score, attempt) for attempt in attempts if attempt.score is not None]
    score, best = min(ended, key=lambda pair: pair[0])
    return best if score < 1 - NEARLY else ended[0][1]


def settings_of(config: DainrConfig, attempt: Attempt) -> DainrConfig:
    """The config an attempt was fitted with."""
    return build_config(DainrConfig, _with(config, attempt.settings))


def _with(config: DainrConfig, settings: dict[str, float]) -> dict[str, Any]:
    nested = config_dict(config)
    for name, value in settings.items():
        group, key = name.split(".")
        nested[group][key] = float(f"{value:.{DIGITS}g}")
    return nested


def _start(config: DainrConfig) -> dict[str, float]:
    if config.field != "warped":
        raise BadRequest("--trials", "it searches settings of the warped field", "start from preset default or fast")
    nested = config_dict(config)
    start = {name: nested[name.split(".")[0]][name.split(".")[1]] for name in SEARCHED}
    return {name: value for name, value in start.items() if value}


def _open(store: Path, scans: Sequence[Scan], config: DainrConfig) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    identity = sha256(json.dumps([config_dict(config), SEARCHED], sort_keys=True).encode())
    for scan in scans:
        for array in (scan.kspace, scan.frame):
            identity.update(np.ascontiguousarray(array).tobytes())
    held: Any = _Held()
    try:
        _mend(store)
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(store), lock_obj=held))
        study = optuna.create_study(study_name=identity.hexdigest()[:16], storage=storage, load_if_exists=True)
        _check(study)
    except (ValueError, LookupError, TypeError, AssertionError, optuna.exceptions.OptunaError) as error:
        raise BadRequest(str(store), f"it is not the study of a search ({error})", "move it away") from error
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=FIRST_AT_RANDOM, n_warmup_steps=PRUNE_FROM)
    return study


class _Held:
    """In place of optuna's locks of a study, which outlive a process that is killed: the file is locked throughout."""

    def acquire(self) -> bool:
        """It is."""
        return True

    def release(self) -> None:
        """Not before the search has ended."""


def _mend(store: Path) -> None:
    """Take away the line that a killed process was writing. Raises ValueError, LookupError, TypeError: no study."""
    lines = store.read_bytes().splitlines(keepends=True)
    for line in lines if lines and lines[-1].endswith(b"\n") else lines[:-1]:
        json.loads(line)["op_code"]
    if lines and not lines[-1].endswith(b"\n"):
        if len(lines) == 1 and not lines[0].startswith(b'{"op_code"'):
            raise ValueError("it has no whole line")
        os.truncate(store, sum(map(len, lines[:-1])))


def _check(study: Any) -> None:
    """Raises ValueError where an attempt holds what none can have written."""
    for trial in study.trials:
        told = [*trial.params.values(), *(trial.values or [])]
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in told):
            raise ValueError(f"attempt {trial.number} holds {told}")


def _errors(scans: Sequence[Scan], config: DainrConfig, trial: Any, observers: Sequence[Watch]) -> list[float]:
    errors, method = [], Dainr()
    for number, scan in enumerate(scans):
        resolved, _ = method.resolve(scan, config)
        watch = _Pruner(trial, 10 * number)
        recon = method(scan, resolved, [watch, *observers])
        if watch.hopeless:
            raise _Pruned("others were better at this point")
        errors.append(excess_error(recon))
    return errors


class _Pruner:
    """An observer that tells the trial of every tenth of a fit, and stops the fit when the trial is hopeless."""

    def __init__(self, trial: Any, offset: int) -> None:
        self.trial, self.offset, self.hopeless, self._told = trial, offset, False, -1

    def __call__(self, step: Step) -> bool:
        """False when others were better at this point."""
        tenth = int(10 * step.progress)
        if step.heldout is not None and self._told < tenth < 10:
            self._told = tenth
            self.trial.report(step.best_heldout, self.offset + tenth)
            self.hopeless = self.trial.should_prune()
        return not self.hopeless


def _attempt(number: int, trial: Any) -> Attempt:
    """A trial by its place among those that ended: the study also counts those that were killed."""
    settings = {name: float(f"{value:.{DIGITS}g}") for name, value in trial.params.items()}
    return Attempt(number, settings, trial.value if trial.state.name == "COMPLETE" else None)
