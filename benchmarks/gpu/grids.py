"""The hash grid of the published field: in torch, and by tiny-cuda-nn where it can be imported."""

import importlib

from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns
from benchmarks.gpu.steps import begin, take_steps
from dainr.simulate import simulate_phantom

NATIVE, TINY_CUDA_NN = "native", "tinycudann"
WARM, TIMED = 6, 20  # steps
INDEXING = "canonical.table.indexing=hash"  # the one that both have
COLUMNS = {"ms": "ms a step"}


def cases(scope: Scope) -> list[str]:
    """Both grids."""
    return [NATIVE, TINY_CUDA_NN]


def measure(case: str, scope: Scope) -> Result:
    """Milliseconds of a step of preset `paper`, with hashed levels and without its network."""
    if case == TINY_CUDA_NN:
        try:
            importlib.import_module(TINY_CUDA_NN)
        except Exception as error:  # it compiles and loads libraries: anything may go wrong
            return {"left_out": f"it cannot be imported: {str(error).splitlines()[0]}"}
    scan = simulate_phantom(scope.phantom())
    fit, _ = begin(scan, "paper", scope.device, [f"grid={case}", INDEXING, "encoder=none", "nufft=sparse"])
    steps, seconds = take_steps(fit, WARM, TIMED)
    return {"ms": 1e3 * seconds / steps}


def show(results: Results) -> str:
    """A row for each grid."""
    return show_columns(results, COLUMNS, "grid")


STAGE = Stage(
    name="grids",
    title="tiny-cuda-nn",
    about="A step of `paper` on a phantom, its grid hashed, without its network. tiny-cuda-nn is optional.",
    cases=cases,
    measure=measure,
    show=show,
    usual_s=12,
    limit_s=120,
)
