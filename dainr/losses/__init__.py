"""Losses: a function of a model and a batch, so that a loss may measure again or run the model again."""

from collections.abc import Callable
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


__all__ = ["KeepsState", "Loss", "energies", "l1_loss", "relative_error", "residual", "residuals"]
