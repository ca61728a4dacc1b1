"""Methods that iterate: when they stop, what they record and what observers see of them."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Complex
from torch import Tensor, nn

from dainr.errors import BadRequest, Diverged
from dainr.fit.state import Checkpoint, FitState, Observer, Step
from dainr.methods.common import MethodConfig
from dainr.methods.slices import Slice, SliceMethod
from dainr.operators import Batch
from dainr.settings.bounds import within
from dainr.settings.build import LONGEST_S


@dataclass(frozen=True)
class IterativeConfig(MethodConfig):
    """When iterations end, by whichever of the three comes first, and how strongly they are kept from the noise."""

    iterations: int = within(50, 0, 10_000_000)  # 0: the budget alone decides
    budget_s: float = within(0.0, 0, LONGEST_S)  # wall-clock for the iterations of a slice; 0: no limit
    tolerance: float = within(1e-2, 0, 1)  # of the measure of convergence each method names
    # mu of mu/2 |x|^2, in variances of the noise: one over the mean square expected of the image
    ridge: float = within(5.0, 0, 1e9)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.iterations and not self.budget_s:
            raise BadRequest("iterations=0", "nothing else ends the iterations", "choose at least 1, or a budget")


@dataclass(frozen=True, eq=False)
class Iterate:
    """The images after an iteration, what they cost, and the measure of convergence that `tolerance` is held to."""

    images: Complex[Tensor, "frame y x"]
    objective: float
    residual: float
    parts: Tensor | None = None  # what a method splits the images into


class Images(nn.Module):
    """Images as a model: the frames of a batch are looked up."""

    images: Tensor

    def __init__(self, images: Complex[Tensor, "frame y x"], frames: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("images", images)
        self.position = {frame: position for position, frame in enumerate(frames)}

    def forward(self, batch: Batch) -> Complex[Tensor, "frame y x"]:
        """The images of the frames of a batch."""
        return self.images[[self.position[frame] for frame in batch.frames]]


class IterativeMethod(SliceMethod):
    """A method that iterates: it gives the iterates, and this class stops, records and shows them."""

    def iterate(self, part: Slice, config: Any) -> Iterator[Iterate]:
        """Iterates without end, each better than the one before."""
        raise TypeError(f"{type(self).__name__} has no iterations")

    def reconstruct(
        self, part: Slice, config: Any, observers: Sequence[Observer]
    ) -> tuple[Complex[Tensor, "frame y x"], FitState]:
        """The last iterate, and a state with the objective of each as its losses.

        Raises Diverged when an objective is not finite.
        """
        watch = _Watch(part, config, observers)
        with torch.no_grad():
            for iterate in self.iterate(part, config):
                if watch(iterate):
                    break
        return iterate.images, watch.state


@dataclass(eq=False)
class _Watch:
    """Decides after each iteration whether to stop, and tells the observers."""

    part: Slice
    config: IterativeConfig
    observers: Sequence[Observer]
    started: float = field(default_factory=time.perf_counter)
    state: FitState = field(default_factory=FitState)

    def __call__(self, iterate: Iterate) -> bool:
        """Whether this iterate is the last."""
        state, config = self.state, self.config
        state.step += 1
        state.seconds = time.perf_counter() - self.started
        state.losses.append(iterate.objective)
        if not math.isfinite(iterate.objective):
            raise Diverged(
                "the reconstruction diverged",
                f"its objective is {iterate.objective} after iteration {state.step}",
                "check the coil maps and the noise measurement of the scan",
            )
        out_of_time = 0 < config.budget_s <= state.seconds * (1 + 0.5 / state.step)
        if iterate.residual < config.tolerance:
            state.stopped = "converged"
        elif 0 < config.iterations <= state.step or out_of_time:
            state.stopped = "budget"
        step = self._step(iterate)
        if not all(observer(step) is not False for observer in self.observers):
            state.stopped = state.stopped or "interrupted"
        return bool(state.stopped)

    def _step(self, iterate: Iterate) -> Step:
        state, config = self.state, self.config
        by_steps = state.step / config.iterations if config.iterations else 0.0
        by_time = state.seconds / config.budget_s if config.budget_s else 0.0
        progress = 1.0 if state.stopped else min(max(by_steps, by_time), 1.0)
        return Step(
            slice=self.part.place[0],
            n_slices=self.part.place[1],
            step=state.step,
            progress=progress,
            loss=iterate.objective,
            heldout=None,
            best_heldout=math.inf,
            seconds=state.seconds,
            seconds_left=state.seconds * (1 / progress - 1),
            learning_rate=0.0,
            stopped=state.stopped,
            model=Images(iterate.images, self.part.data.frames),
            checkpoint=lambda: Checkpoint({"best.images": iterate.images.clone()}, state.copy()),
        )
