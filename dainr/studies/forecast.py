"""What a fit will take, from its first steps: the middle slice goes through a run that is as short as can be.

The short run passes all stages of a long one, for they are shares of the budget: its last steps cost what most cost.
"""

import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from dainr.fit.state import Step
from dainr.machine.device import synchronise
from dainr.methods.common import MethodConfig
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.dainr.memory import fit_bytes
from dainr.runs.folder import RunFolder
from dainr.runs.run import Request, reconstruct_into
from dainr.scan import Scan

STEPS = 8


CUDA_BYTES = 600 * 2**20  # of a process on a GPU beside its tensors: CUDA's context, code, workspaces of libraries
MARGIN = 1.3  # of what is reserved over what tensors need: gaps between them


@dataclass(frozen=True)
class Forecast:
    """Time of a whole run, without loading the scan, and memory; a halving schedule may converge before that.

    `memory_mb` is measured: of the process, or of torch's tensors on the GPU in use; `gpu_memory_mb` is counted, and at
    least what was measured there: all that a process takes of a GPU.
    """

    seconds: float
    memory_mb: float
    gpu_memory_mb: float


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
    began, ended = 0.0, list[float]()

    def watch(step: Step) -> None:
        nonlocal began
        synchronise(next(step.model.parameters()).device)  # or the clock would tell when steps were asked for
        began = began or time.perf_counter() - step.seconds
        ended.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        recon = reconstruct_into(run, middle, request, _shortened(config), [watch])
        record = run.read_record()
    costs = _costs([after - before for before, after in zip([0.0, *ended], ended, strict=False)], config)
    one = recon.record["seconds"]["total"] - recon.record["seconds"]["fit"] + fit_seconds(costs, config)
    of_gpu, measured = gpu_bytes(scan, config) / 2**20, record["peak_memory_mb"]
    if config.device.startswith("cuda"):
        of_gpu = max(of_gpu, measured + CUDA_BYTES / 2**20)
    return Forecast(scan.n_slices * one, measured, of_gpu)


def gpu_bytes(scan: Scan, config: MethodConfig) -> int:
    """What a process takes of a GPU's memory while it fits a binned scan, counted from the tensors of a slice."""
    return CUDA_BYTES + int(MARGIN * fit_bytes(scan, config))


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
