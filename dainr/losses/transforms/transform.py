"""What a transform of a series is: a linear map of complex images that could be another scan's."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Complex
from torch import Tensor


@runtime_checkable
class Transform(Protocol):
    """A map of series to series, linear over the complex numbers, through which gradients reach the images."""

    def __call__(self, images: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        """The transformed series, on the device of the images."""
        ...

    def inverse(self) -> "Transform":
        """The transform that takes it back."""
        ...

    @property
    def inside(self) -> Bool[Tensor, "y x"] | None:
        """Pixels that show what was within the field of view, the others are zero; None: every pixel does."""
        ...


@dataclass(frozen=True, eq=False)
class InTurn:
    """One transform, then another that keeps every pixel in its place, such as a shift in time."""

    first: Transform
    then: Transform

    def __call__(self, images: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        """Both, in this order."""
        return self.then(self.first(images))

    def inverse(self) -> "InTurn":
        """The inverses; a shift in time and a map of the plane may change places."""
        return InTurn(self.first.inverse(), self.then.inverse())

    @property
    def inside(self) -> Bool[Tensor, "y x"] | None:
        """That of the first."""
        return self.first.inside
