"""Settings of unrolled networks as methods."""

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from dainr.errors import BadRequest
from dainr.fit.config import FitConfig
from dainr.losses.learning import LossConfig
from dainr.methods.common import MethodConfig
from dainr.methods.cycle import Cyclic
from dainr.settings.bounds import check_bounds, within

FROM_NOTHING = "none"  # no weights: a network drawn from the seed
RATE, RATE_OF_WEIGHTS = 3e-3, 3e-4  # learning rate from nothing, and of weights, which a large one makes forget


@dataclass(frozen=True)
class AdaptConfig(FitConfig):
    """How a network is fitted to a scan; no iterations and no budget: it is applied as it is."""

    learning_rate: float = within(0.0, 0, 1e9)  # 0: 3e-3 from nothing, 3e-4 from weights
    weight_decay: float = 0.0
    decay_of_squares: float = 0.999
    warm_up: float = 0.05

    def __post_init__(self) -> None:
        if self.iterations or self.budget_s:
            super().__post_init__()
        check_bounds(self)
        if self.frames_per_step or self.frames_at_once:
            raise BadRequest("frames_per_step, frames_at_once", "a network sees all frames at once", "leave them at 0")


@dataclass(frozen=True)
class LearningConfig(MethodConfig):
    """Settings of whatever learns with a network; `network` are its own sizes, which weights bring with them."""

    network: Any = None
    weights: str = FROM_NOTHING  # to start from: a name that dainr weights lists, or the path of a file of dainr train
    cyclic: Cyclic = "auto"  # whether the last frame leads to the first
    learning: LossConfig = dataclasses.field(default_factory=LossConfig)


AnyLearning = TypeVar("AnyLearning", bound=LearningConfig)


@dataclass(frozen=True)
class UnrolledConfig(LearningConfig):
    """Settings of every network as a method."""

    fit: AdaptConfig = dataclasses.field(default_factory=AdaptConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.learning.loss == "supervised":
            raise BadRequest(
                "loss=supervised", "a fit never reads the reference", "choose ssdu or ddei, or dainr train"
            )
        if not (self.fit.iterations or self.fit.budget_s or self.weights != FROM_NOTHING):
            raise BadRequest("iterations=0", "a network without weights has learned nothing", "set weights=NAME too")
