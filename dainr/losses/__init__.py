"""Losses: a function of a model and a batch, so that a loss may measure again or run the model again."""

from collections.abc import Callable

from torch import Tensor

from dainr.losses.data import frame_energies, l1_loss, relative_error, residual
from dainr.operators.batch import Batch, FrameModel

Loss = Callable[[FrameModel, Batch], Tensor]

__all__ = ["Loss", "frame_energies", "l1_loss", "relative_error", "residual"]
