"""What a fit knows and shows: validations, its state, the step an observer sees, checkpoints, an unfinished run."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from torch import Tensor, nn

from dainr.errors import BadScan, is_out_of_memory


@dataclass(frozen=True)
class Validation:
    """One validation: the held-out error, relative to the data it is measured on."""

    step: int
    heldout: float
    seconds: float


@dataclass
class FitState:
    """What a fit knows beside its tensors; with them, all that resuming needs."""

    step: int = 0
    seconds: float = 0.0
    best_step: int = 0
    best_heldout: float = math.inf
    since_best: int = 0
    losses: list[float] = field(default_factory=list)  # one per step
    validations: list[Validation] = field(default_factory=list)
    stopped: str = ""  # why the fit ended: budget, converged or interrupted
    frames_at_once: int = 0  # fewer than the settings say, since memory ran out; 0: as they say

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.stopped not in ("", "interrupted")

    def copy(self) -> "FitState":
        """A state that later steps leave as it is."""
        return replace(self, losses=self.losses.copy(), validations=self.validations.copy())


@dataclass(frozen=True, eq=False)
class Step:
    """What an observer sees after each step."""

    slice: int
    n_slices: int
    step: int
    progress: float  # share of the budget spent, by steps or by time
    loss: float
    heldout: float | None  # set on steps that validated
    best_heldout: float
    seconds: float
    seconds_left: float
    learning_rate: float
    stopped: str  # why the fit of this slice ends with this step, or ""
    model: nn.Module  # as it is now; to look at, not to change
    checkpoint: Callable[[], "Checkpoint"]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The tensors of a fit by name, and its state."""

    tensors: dict[str, Tensor]
    state: FitState


@dataclass(frozen=True, eq=False)
class RunState:
    """An unfinished run: the fields of the slices that are done, and the checkpoint of the one in progress."""

    finished: dict[int, Checkpoint] = field(default_factory=dict)
    current: tuple[int, Checkpoint] | None = None

    def of_slice(self, index: int) -> Checkpoint | None:
        """What there is of a slice; its state says whether it is done."""
        if index in self.finished:
            return self.finished[index]
        return self.current[1] if self.current is not None and self.current[0] == index else None


@contextmanager
def of_the_run(where: str) -> Iterator[None]:
    """Put stored tensors into a model. Raises BadScan where these have other names or shapes than it needs."""
    try:
        yield
    except (LookupError, RuntimeError, ValueError, TypeError, AttributeError) as error:  # as torch finds them
        if is_out_of_memory(error):
            raise
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadScan(
            where, f"its tensors are not those of the run ({why})", "fit the scan again with --force"
        ) from error


Observer = Callable[[Step], bool | None]  # False stops the fit
