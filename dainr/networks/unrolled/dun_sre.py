"""DUN-SRE, an unrolled (2+1)D network that commutes with rotations (Zhu et al., arXiv 2506.10309).

    M = z - g(z),    x = M - A^H (A M - d + h(A M, d))       d: the samples of every coil

Both g and h are: lift, temporal, inner, temporal and project, each followed by a leaky ReLU, and a plain convolution of
three frames. Real and imaginary part are two scalar fields, which keep their values when the image turns. h works on
the k-space of one coil at a time, [Re A M, Re d, Im A M, Im d]; off the grid, where there is none, on the images G M
and b in place of A M and d. Each iteration has its own g and h, the last no consistency. There is no bias.

The published count says how wide they are. With n channels for each of 4 rotations and i scalar fields at the input,

    lift 9 i n    temporal 12 n^2    inner 36 n^2    temporal 12 n^2    project 72 n    last 12

g with i = 2, n = 32 has 576 + 12,288 + 36,864 + 12,288 + 2,304 + 12 = 64,332 parameters, h with i = 4, n = 2 has
72 + 48 + 144 + 48 + 144 + 12 = 468; ten of g and nine of h are 647,532, the number the paper gives.

What is ours: the A M - d beside h, with which a network that has learned nothing takes a gradient step, and weights of
the last layers that are small at first. `order` 8 is the same network with filters of 5 x 5, and 1 is its twin without
rotations: with 4 n channels it is as wide, with 2 n it has about as many parameters. They are there for comparison.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.nn import functional

from dainr.networks.unrolled.consistency import GradientStep, NoStep
from dainr.networks.unrolled.group_filters import Order
from dainr.networks.unrolled.group_layers import SLOPE, Inner, Lift, Project, Temporal, wrapped
from dainr.networks.unrolled.layers import ResidualRegulariser, check_sizes
from dainr.networks.unrolled.unrolled import Sizes, UnrolledNetwork
from dainr.operators.measured import Measured

SMALL = 0.02  # the weights of the last layer at first, relative to those that keep the mean square


@dataclass(frozen=True)
class DunSreConfig(Sizes):
    """Sizes of DUN-SRE; the defaults are for a processor."""

    order: Order = 4  # of the group: rotations by 90 or 45 degrees; 1: none
    channels: int = 4  # for each rotation
    cascades: int = 3
    consistency_channels: int = 0  # of the network within the consistency; 0: a gradient step alone

    def __post_init__(self) -> None:
        check_sizes(channels=(self.channels, 1), cascades=(self.cascades, 2))
        check_sizes(consistency_channels=(self.consistency_channels, 0))


PAPER = DunSreConfig(channels=32, cascades=10, consistency_channels=2, start="gridded")


class GroupNetwork(nn.Module):
    """g and h: from scalar fields to a real and an imaginary part."""

    def __init__(self, n_in: int, n: int, order: Order) -> None:
        super().__init__()
        self.lift, self.time1 = Lift(n_in, n, order), Temporal(n, n, order)
        self.inner, self.time2 = Inner(n, n, order), Temporal(n, n, order)
        self.project, self.last = Project(n, 2, order), Temporal(2, 2, 1)
        with torch.no_grad():
            self.last.weight.mul_(SMALL)

    def forward(self, x: Float[Tensor, "frame input y x"], cyclic: bool) -> Float[Tensor, "frame 2 y x"]:
        """Of the size of the input."""
        bend = partial(functional.leaky_relu_, negative_slope=SLOPE)
        x = wrapped(x, self.lift.margin + self.inner.margin + self.project.margin)
        x = bend(self.time1(bend(self.lift(x)), cyclic))
        x = bend(self.time2(bend(self.inner(x)), cyclic))
        return self.last(bend(self.project(x)), cyclic)


class DunSre(ResidualRegulariser):
    """The proximal part of DUN-SRE."""

    centred = False  # nothing in it depends on the brightness

    def __init__(self, config: DunSreConfig) -> None:
        super().__init__()
        self.g = GroupNetwork(2, config.channels, config.order)

    def residual(
        self, x: Float[Tensor, "frame 2 y x"], state: None, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], None]:
        """What is added, -g; there is nothing to take over."""
        return -self.g(x, cyclic), None


class LearnedStep(nn.Module):
    """The consistency of DUN-SRE."""

    def __init__(self, n: int, order: Order) -> None:
        super().__init__()
        self.h = GroupNetwork(4, n, order)

    def forward(self, x: Complex[Tensor, "frame y x"], measured: Measured) -> Complex[Tensor, "frame y x"]:
        """A step towards the measurement."""
        if measured.on_grid is None:
            seen, wanted = measured.gram(x), measured.rhs
            return x - (seen - wanted + self._learned(seen, wanted, measured.cyclic))
        samples = measured.on_grid()
        seen, wanted = samples.measure(x), samples.kspace
        coils = zip(seen.unbind(1), wanted.unbind(1), strict=True)
        learned = torch.stack([self._learned(*coil, measured.cyclic) for coil in coils], 1)
        return x - samples.combine(seen - wanted + learned)

    def _learned(
        self, seen: Complex[Tensor, "frame y x"], wanted: Complex[Tensor, "frame y x"], cyclic: bool
    ) -> Complex[Tensor, "frame y x"]:
        """h of one coil's k-space, or of the images."""
        parts = torch.stack([seen.real, wanted.real, seen.imag, wanted.imag], 1)
        out = self.h(parts.contiguous(memory_format=torch.channels_last), cyclic)
        return torch.view_as_complex(out.permute(0, 2, 3, 1).contiguous())


def build(config: DunSreConfig) -> UnrolledNetwork:
    """DUN-SRE: each iteration has its own g and h, the last none of h."""
    n, last = config.consistency_channels, config.cascades - 1
    steps = [LearnedStep(n, config.order) if n else GradientStep() for _ in range(last)]
    return UnrolledNetwork(
        [DunSre(config) for _ in range(config.cascades)], config.cascades, [*steps, NoStep()], config.start
    )
