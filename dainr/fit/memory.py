"""A step for which memory runs out is taken again with half as many frames at once, and so are those after it."""

import logging
from collections.abc import Callable

from torch import Tensor

from dainr.errors import OutOfMemory, is_out_of_memory
from dainr.fit.state import FitState
from dainr.machine.device import give_memory_back
from dainr.machine.shortage import FIX

log = logging.getLogger(__name__)

FEWEST = 2  # frames at once: variation over time is that of neighbours


def with_fewer_frames(
    backward: Callable[[], Tensor], forget: Callable[[], None], state: FitState, at_once: int
) -> Tensor:
    """The loss of a step by `backward`, which renders `state.frames_at_once` frames at once, or else `at_once`.

    `forget` takes the gradients of what was begun away. Raises OutOfMemory where fewer frames are too many.
    """
    while True:
        try:
            return backward()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        forget()  # only here, where the error no longer holds what the step was computing with
        give_memory_back()
        rendered = state.frames_at_once or at_once
        if rendered <= FEWEST:
            raise OutOfMemory(
                "out of memory",
                f"a step of the fit needs more than there is, even with {rendered} frames at once",
                FIX,
            )
        state.frames_at_once = max(rendered // 2, FEWEST)
        log.warning("out of memory: the fit goes on with %d frames at once", state.frames_at_once)
