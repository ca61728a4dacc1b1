"""Seconds a step, seconds before it and memory of `default` against pixels, frames and coils."""

from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns
from benchmarks.scaling import Sweep
from benchmarks.scaling import measure as fit_of_size
from dainr.settings.presets import DEFAULT_PRESET

SIZES = (
    *((128, 25, 8), (192, 25, 8), (256, 25, 8)),
    *((128, 50, 8), (128, 100, 8), (128, 25, 16), (128, 25, 32)),
    *((192, 50, 16), (256, 50, 16)),
)
SMALL = ((32, 4, 2),)
STEPS, VALIDATE_EVERY = 60, 20
COLUMNS = {"step_ms": "ms a step", "prepare_s": "before it s", "memory_mb": "peak MB"}


def cases(scope: Scope) -> list[str]:
    """Pixels a side, frames and coils."""
    return [" ".join(map(str, size)) for size in (SMALL if scope.small else SIZES)]


def measure(case: str, scope: Scope) -> Result:
    """A short fit of a phantom of that size, by a command of its own."""
    matrix, frames, coils = map(int, case.split())
    config = scope.phantom(matrix=matrix, frames=frames, coils=coils)
    steps, every = (6, 2) if scope.small else (STEPS, VALIDATE_EVERY)
    sweep = Sweep((), (), (), (), config, steps, every)
    cost = fit_of_size(config, 1, sweep, DEFAULT_PRESET, scope.device, ())
    if cost.failed:
        raise RuntimeError(cost.failed)
    return {
        "step_ms": 1e3 * cost.seconds_per_step,
        "prepare_s": cost.prepare_seconds,
        "memory_mb": round(cost.peak_memory_mb),
    }


def show(results: Results) -> str:
    """A row for each size."""
    return show_columns(results, COLUMNS, "pixels a side, frames, coils")


STAGE = Stage(
    name="sizes",
    title="Sizes",
    about=(
        "Preset `default`, phantoms of 13 spokes a frame. A step is the mean between the first and the last validation,"
        " and holds the validations between them; before it: preparation, coarse fit and all else until the first step."
    ),
    cases=cases,
    measure=measure,
    show=show,
    usual_s=20,
    limit_s=180,
)
