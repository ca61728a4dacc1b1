"""Losses: a function of a model and a batch, so that a loss may measure again or run the model again."""

from collections.abc import Callable, Hashable
from typing import Protocol, runtime_checkable

from torch import Tensor

from dainr.losses.data import energies, l1_loss, relative_error, residual, residuals
from dainr.operators.batch import Batch, FrameModel

Loss = Callable[[FrameModel, Batch], Tensor]


@runtime_checkable
class KeepsState(Protocol):
    """A loss with tensors that a resumed fit needs again."""

    def state(self) -> dict[str, Tensor]:
        """Those tensors by name."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take them over."""
        ...


@runtime_checkable
class HasPhases(Protocol):
    """A loss whose steps run the same operations on the same tensors while its phase is the same.

    What else changes with the progress of a fit is computed from the clock of the batch.
    """

    def phase(self, progress: float) -> Hashable:
        """The phase at a share of the fit's budget."""
        ...


__all__ = ["HasPhases", "KeepsState", "Loss", "energies", "l1_loss", "relative_error", "residual", "residuals"]
