"""What a fit will take, from its first steps: the middle slice goes through a run that is as short as can be.

The short run passes all stages of a long one, for they are shares of the budget: its last steps cost what most cost.
"""

import math
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from dainr.fit.state import Step
from dainr.methods.dainr.config import DainrConfig
from dainr.runs.folder import RunFolder
from dainr.runs.run import Request, reconstruct_into
from dainr.scan import Scan

STEPS = 8


@dataclass(frozen=True)
class Forecast:
    """Time of a whole run, without loading the scan, and memory; a halving schedule may converge before that."""

    seconds: float
    memory_mb: float


@dataclass(frozen=True)
class Costs:
    """Seconds: what is spent once, and on a step before frames are restored, one after that, and a validation."""

    once: float
    early: float
    late: float
    validation: float


def forecast(scan: Scan, request: Request, config: DainrConfig) -> Forecast:
    """Fit a few steps of the middle slice of a binned scan, the report included, and extrapolate. Raises Diverged."""
    middle = scan.select_slices([scan.n_slices // 2])
    ended: list[float] = []

    def watch(step: Step) -> None:
        ended.append(step.seconds)

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        recon = reconstruct_into(run, middle, request, _shortened(config), [watch])
        record = run.read_record()
    costs = _costs([after - before for before, after in zip([0.0, *ended], ended, strict=False)], config)
    one = recon.record["seconds"]["total"] - recon.record["seconds"]["fit"] + fit_seconds(costs, config)
    return Forecast(scan.n_slices * one, record["peak_memory_mb"])


def fit_seconds(costs: Costs, config: DainrConfig) -> float:
    """Time for the steps of a slice, by iterations or budget, whichever ends first."""
    fit, early = config.fit, config.objective.prediction_from
    steps = fit.iterations * (early * costs.early + (1 - early) * costs.late)
    steps += costs.once + fit.iterations / fit.validate_every * costs.validation
    return min(steps if fit.iterations else fit.budget_s, fit.budget_s or steps)


def _shortened(config: DainrConfig) -> DainrConfig:
    return replace(config, fit=replace(config.fit, iterations=STEPS, budget_s=0.0, validate_every=STEPS))


def _costs(seconds: list[float], config: DainrConfig) -> Costs:
    """Of the steps of the short run: the first two set things up, one restores the frames, the last one validates."""
    restoring = min(max(math.ceil(STEPS * config.objective.prediction_from), 3), STEPS - 3)
    early, late = median(seconds[2:restoring]), seconds[STEPS - 2]
    once = max(sum(seconds[:2]) - 2 * early, 0.0) + max(seconds[restoring] - late, 0.0)
    return Costs(once, early, late, max(seconds[STEPS - 1] - late, 0.0))
