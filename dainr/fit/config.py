"""Settings of a fit."""

from dataclasses import dataclass
from typing import Literal

from dainr.errors import BadRequest


@dataclass(frozen=True)
class FitConfig:
    """Optimiser, schedule, budget and validation."""

    iterations: int = 100  # 0: the budget alone decides
    budget_s: float = 0.0  # wall-clock for the steps of a slice; 0: iterations alone decide
    frames_per_step: int = 0  # 0: all
    frames_at_once: int = 0  # rendered together, which bounds memory; a step adds up its parts' gradients; 0: all
    learning_rate: float = 0.01
    weight_decay: float = 1e-3
    decay_of_squares: float = 0.99  # AdamW's beta 2
    schedule: Literal["halving", "cosine"] = "cosine"
    warm_up: float = 0.15  # share of the budget in which the rate rises from zero
    halve_every: int = 2000
    validate_every: int = 10
    record_steps: bool = True  # on a GPU: once, and played again, where all frames are rendered at once
    patience: int = 16  # halving: validations without a better held-out error before the fit stops; 0: never

    def __post_init__(self) -> None:
        if self.iterations < (0 if self.budget_s else 1) or self.validate_every < 1 or self.halve_every < 1:
            raise BadRequest("the fit's settings", "a number of steps is below 1", "choose at least 1")
        if not (self.learning_rate > 0 and self.budget_s >= 0 and self.patience >= 0 and self.weight_decay >= 0):
            raise BadRequest("the fit's settings", "a rate, budget or patience is negative", "choose positive values")
        if min(self.frames_per_step, self.frames_at_once) < 0 or not (
            0 <= self.warm_up < 1 and 0 <= self.decay_of_squares < 1
        ):
            raise BadRequest("the fit's settings", "frames_per_step or a share is out of range", "choose others")
