"""The stages in the order in which they are run, the most important first, and what there is to do."""

from benchmarks.gpu import card, fits, grids, many, marked, networks, one_step, parity, passes, sizes, transforms
from benchmarks.gpu.stage import Scope, Stage

STAGES = {
    stage.name: stage
    for stage in (
        *(
            card.STAGE,
            parity.STAGE,
            marked.STAGE,
            one_step.STAGE,
            passes.STAGE,
            fits.STAGE,
            transforms.STAGE,
            sizes.STAGE,
        ),
        *(networks.STAGE, many.STAGE, grids.STAGE, many.STACKS),
    )
}


def planned(scope: Scope) -> list[tuple[Stage, str]]:
    """Every case of every stage."""
    return [(stage, case) for stage in STAGES.values() for case in stage.cases(scope)]
