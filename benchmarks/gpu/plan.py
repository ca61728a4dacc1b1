"""The stages in the order in which they are run, the most important first, and what there is to do."""

from benchmarks.gpu import card, fits, grids, many, marked, networks, one_step, parity, sizes, transforms
from benchmarks.gpu.stage import Scope, Stage

STAGES = {
    module.STAGE.name: module.STAGE
    for module in (card, parity, marked, one_step, fits, transforms, sizes, networks, many, grids)
}


def planned(scope: Scope) -> list[tuple[Stage, str]]:
    """Every case of every stage."""
    return [(stage, case) for stage in STAGES.values() for case in stage.cases(scope)]
