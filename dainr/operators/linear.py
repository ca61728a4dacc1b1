"""Linear operators: an operator is a forward map and its adjoint; everything else is derived.

Autograd never looks inside: the backward of A is A^H and that of A^H is A, so gradients are right by construction.
"""

from typing import Any

import torch
from torch import Tensor, nn


class LinearOperator(nn.Module):
    """A linear map; subclasses give `_map` and `_map_adjoint`, called without autograd."""

    def _map(self, x: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} defines no forward map")

    def _map_adjoint(self, y: Tensor) -> Tensor:
        raise TypeError(f"{type(self).__name__} defines no adjoint")

    def forward(self, x: Tensor) -> Tensor:
        """A x."""
        return _Linear.apply(x, self, False)

    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y."""
        return _Linear.apply(y, self, True)

    @property
    def H(self) -> "LinearOperator":
        """The adjoint as an operator."""
        return Adjoint(self)

    @property
    def gram(self) -> "LinearOperator":
        """A^H A."""
        return self.H @ self

    def __matmul__(self, other: "LinearOperator") -> "LinearOperator":
        return Composition(self, other)


class Adjoint(LinearOperator):
    """A^H of an operator A."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__()
        self.operator = operator

    def _map(self, x: Tensor) -> Tensor:
        return self.operator._map_adjoint(x)

    def _map_adjoint(self, y: Tensor) -> Tensor:
        return self.operator._map(y)

    @property
    def H(self) -> LinearOperator:
        """The operator itself."""
        return self.operator


class Composition(LinearOperator):
    """A B: first B, then A."""

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        super().__init__()
        self.outer, self.inner = outer, inner

    def _map(self, x: Tensor) -> Tensor:
        return self.outer._map(self.inner._map(x))

    def _map_adjoint(self, y: Tensor) -> Tensor:
        return self.inner._map_adjoint(self.outer._map_adjoint(y))


class _Linear(torch.autograd.Function):
    """Applies an operator or its adjoint; its derivative is the other one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: LinearOperator, adjoint: bool) -> Tensor:
        ctx.operator, ctx.adjoint = operator, adjoint
        return operator._map_adjoint(x) if adjoint else operator._map(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Linear.apply(gradients[0], ctx.operator, not ctx.adjoint), None, None
