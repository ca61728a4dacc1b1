"""Convolutions that commute with rotations (Cohen & Welling, ICML 2016, arXiv 1602.07576), over space and over time.

Features have an axis of rotations: `frame (channel rotation) y x`. When the images turn by one step of the group, the
features turn and move on by one along that axis. That holds at the edges only where images wrap around there: a network
wraps its input once (`wrapped`), and each convolution takes its `margin` off. An order of 1 has no rotations: its
layers are convolutions like any others.

    lift        out[r] = w turned by r * in                    from scalar fields, such as a real and an imaginary part
    inner       out[r] = sum_s w[s - r] turned by r * in[s]
    temporal    out[r] = sum_s w[s - r] in[s], of three frames
    project     the sum over r of an inner one                 to scalar fields

No bias. Weights are drawn so that features keep their mean square through leaky ReLUs.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dainr.networks.unrolled.group_filters import Order, turned_basis
from dainr.networks.unrolled.layers import sum_of_taps

SLOPE = 0.2  # of leaky ReLUs below zero
GAIN = 2 / (1 + SLOPE**2)  # of the mean square, that such a ReLU takes away


def wrapped(x: Float[Tensor, "frame channel y x"], margin: int) -> Float[Tensor, "frame channel ym xm"]:
    """The images and so many pixels around them, as if they were repeated."""
    rows, columns = (torch.arange(-margin, n + margin, device=x.device) % n for n in x.shape[2:])
    return x[:, :, rows[:, None], columns]


class TurnedConv(nn.Module):
    """What convolutions in the plane share: coefficients of the basis functions, and how these become filters.

    The functions are kept with the weights: those of order 8 need not be the same on every machine.
    """

    basis: Tensor

    def __init__(self, n_in: int, n_out: int, n_rotations: int, order: Order, terms: int) -> None:
        """`n_rotations`: of the input; `terms`: how many are summed, beside inputs and functions."""
        super().__init__()
        basis = turned_basis(order)
        self.register_buffer("basis", basis, persistent=order == 8)
        energy = float(basis[0].square().sum())
        weight = torch.randn(n_out, n_in, n_rotations, basis.shape[1])
        self.weight = nn.Parameter(weight * math.sqrt(GAIN / (n_in * terms * energy)))

    def turned(self) -> Float[Tensor, "output rotation input s y x"]:
        """The filters of every rotation, the axis s rolled along."""
        filters = torch.einsum("oisb,rbyx->roisyx", self.weight, self.basis)
        return torch.stack([f.roll(r, 2) for r, f in enumerate(filters)], 1)

    @property
    def margin(self) -> int:
        """Pixels that each edge loses."""
        return self.basis.shape[-1] // 2


class Lift(TurnedConv):
    """From scalar fields to features of all rotations."""

    def __init__(self, n_in: int, n_out: int, order: Order) -> None:
        super().__init__(n_in, n_out, 1, order, 1)

    def forward(self, x: Float[Tensor, "frame input y x"]) -> Float[Tensor, "frame output yo xo"]:
        """Features of all rotations, less the margin."""
        return functional.conv2d(x, self.turned().flatten(2, 3).flatten(0, 1))


class Inner(TurnedConv):
    """From features to features."""

    def __init__(self, n_in: int, n_out: int, order: Order) -> None:
        super().__init__(n_in, n_out, order, order, order)

    def forward(self, x: Float[Tensor, "frame input y x"]) -> Float[Tensor, "frame output yo xo"]:
        """Features, less the margin."""
        return functional.conv2d(x, self.turned().flatten(2, 3).flatten(0, 1))


class Project(TurnedConv):
    """From features to scalar fields. Filters are summed over the rotations before they are used: the same in less."""

    def __init__(self, n_in: int, n_out: int, order: Order) -> None:
        super().__init__(n_in, n_out, order, order, order**2)

    def forward(self, x: Float[Tensor, "frame input y x"]) -> Float[Tensor, "frame output yo xo"]:
        """Scalar fields, less the margin."""
        return functional.conv2d(x, self.turned().sum(1).flatten(1, 2))


class Temporal(nn.Module):
    """Over three frames, pixel by pixel; in time it wraps where cyclic, else the first and last frame stand still."""

    def __init__(self, n_in: int, n_out: int, order: int) -> None:
        super().__init__()
        weight = torch.randn(3, n_out, n_in, order)
        self.weight = nn.Parameter(weight * math.sqrt(GAIN / (3 * n_in * order)))

    def forward(self, x: Float[Tensor, "frame input y x"], cyclic: bool) -> Float[Tensor, "frame output y x"]:
        """Of the shape of the input, but for the number of channels."""
        rolled = torch.stack([self.weight.roll(r, 3) for r in range(self.weight.shape[3])], 2)  # tap output r input s
        taps = functional.linear(x.permute(0, 2, 3, 1), rolled.flatten(3, 4).flatten(0, 2))
        return sum_of_taps(taps.permute(0, 3, 1, 2), None, cyclic)
