"""What a model and a loss see of the scan in one step, and the contract a model fulfils."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class Batch:
    """Some frames of one slice: their times, and their samples with the operator that measures them.

    A neural field reads only `times`; an unrolled network reads the samples and the operator as well.
    """

    frames: tuple[int, ...]
    times: Float[Tensor, " frame"]  # s
    kspace: Complex[Tensor, "coil point"]
    density: Float[Tensor, " point"]
    operator: LinearOperator  # image `frame y x` to `coil point`


@runtime_checkable
class FrameModel(Protocol):
    """Anything that turns a batch into images `frame y x`, complex."""

    def __call__(self, batch: Batch) -> Complex[Tensor, "frame y x"]:
        """Images of the frames of a batch."""
        ...
