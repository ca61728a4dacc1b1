"""Plain multilayer perceptrons: linear layers, without bias unless asked for, ReLU between them."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class MLP(nn.Module):
    """Linear layers of the given widths; the input comes in parts, each `point feature` or one row for all points."""

    def __init__(self, widths: Sequence[int], bias: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b, bias=bias) for a, b in pairwise(widths))

    def forward(self, parts: Sequence[Float[Tensor, "_ _"]]) -> Float[Tensor, "point output"]:
        """The network at all points; what is the same for all points is multiplied once."""
        first, *rest = self.layers
        assert isinstance(first, nn.Linear)
        weights = first.weight.split([p.shape[1] for p in parts], 1)
        hidden = functional.linear(parts[0], weights[0], first.bias)
        for part, weight in zip(parts[1:], weights[1:], strict=True):
            hidden = hidden + part @ weight.T
        for layer in rest:
            hidden = layer(torch.relu_(hidden))
        return hidden
