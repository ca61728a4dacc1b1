"""Steps recorded on a graphics card and played again: one launch instead of hundreds, which take longer than the step.

CUDA graphs (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs). A recorded step computes with the
tensors that it was recorded with: parameters, moments and the like change in place, and what else changes from step to
step lies in tensors that are filled before it is played.
"""

import logging
from collections.abc import Callable, Hashable

import torch
from torch import Tensor

log = logging.getLogger(__name__)

Take = Callable[[], Tensor]  # takes a step and gives its loss
Capture = Callable[[Take], Take]


class Recorder:
    """Leaves the first step of every phase to others, records the second, and plays that from then on."""

    def __init__(self, capture: Capture) -> None:
        self.capture: Capture | None = capture
        self.phase: Hashable = None
        self._play: Take | None = None

    def __call__(self, phase: Hashable, take: Take) -> Tensor | None:
        """The loss of a step, or None for one that is to be taken as it is.

        The steps of a phase run the same operations on the same tensors; the first allocates and uploads them.
        """
        if self.capture is None or phase != self.phase:
            self.phase, self._play = phase, None
            return None
        if self._play is None:
            try:
                self._play = self.capture(take)
            except RuntimeError as error:
                log.warning("steps are not recorded on this device (%s)", str(error).splitlines()[0])
                self.capture = None
                return None
        return self._play().clone()


def cuda_graphs(device: torch.device) -> Capture:
    """Recording by CUDA graphs, which share their memory: they never run at once."""
    pool = torch.cuda.graph_pool_handle()

    def capture(take: Take) -> Take:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(device), torch.cuda.graph(graph, pool=pool):  # which records the current device
            loss = take()

        def play() -> Tensor:
            graph.replay()
            return loss

        return play

    return capture
