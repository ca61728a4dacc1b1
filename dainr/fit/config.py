"""Settings of a fit."""

from dataclasses import dataclass
from typing import Literal

from dainr.errors import BadRequest
from dainr.settings.bounds import check_bounds, within
from dainr.settings.build import LONGEST_S


@dataclass(frozen=True)
class FitConfig:
    """Optimiser, schedule, budget and validation."""

    iterations: int = within(100, 0, 10_000_000)  # 0: the budget alone decides
    budget_s: float = within(0.0, 0, LONGEST_S)  # wall-clock for the steps of a slice; 0: iterations alone decide
    frames_per_step: int = within(0, 0, 100_000)  # 0: all
    # rendered together, which bounds memory; a step adds up its parts' gradients; 0: all
    frames_at_once: int = within(0, 0, 100_000)
    learning_rate: float = within(0.01, 1e-9, 1e9)
    weight_decay: float = within(1e-3, 0, 100)
    decay_of_squares: float = within(0.99, 0, 1)  # AdamW's beta 2
    schedule: Literal["halving", "cosine"] = "cosine"
    warm_up: float = within(0.15, 0, 1)  # share of the budget in which the rate rises from zero
    halve_every: int = within(2000, 1, 10_000_000)
    validate_every: int = within(10, 1, 10_000_000)
    record_steps: bool = True  # on a GPU: once, and played again, where all frames are rendered at once
    # halving: validations without a better held-out error before the fit stops; 0: never
    patience: int = within(16, 0, 10_000_000)

    def __post_init__(self) -> None:
        check_bounds(self)
        if not self.iterations and not self.budget_s:
            raise BadRequest("iterations=0", "nothing else ends the fit", "choose at least 1, or a budget")
        if self.warm_up == 1 or self.decay_of_squares == 1:
            raise BadRequest("warm_up or decay_of_squares", "it is 1", "choose less")
