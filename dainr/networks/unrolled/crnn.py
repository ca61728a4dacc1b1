"""CRNN-MRI, a network recurrent over time and over cascades (Qin et al., IEEE TMI 2019, arXiv 1712.01751).

In each cascade a unit that is recurrent over time in both directions and over cascades, three convolutions that are
recurrent over cascades, h <- relu(W x + R h), and a last one that gives what is added to the images. All cascades
share their weights, and what they leave in one cascade they find in the next.

Qin et al. let both directions in time share a cell. Wang and Davies (DDEI, arXiv 2410.08646) count 372,867 parameters
for two cascades of 64 channels: those are 10 convolutions 64 -> 64, two 2 -> 64 and one 64 -> 2, all with biases, and
one consistency weight; that is, a cell for each direction. With a shared one there are 297,795.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dainr.networks.unrolled.layers import RecurrentUnit, ResidualRegulariser, check_sizes, conv, taken_over
from dainr.networks.unrolled.unrolled import Sizes, UnrolledNetwork

N_CONVOLUTIONS = 3

Hidden = tuple[Tensor, ...]  # of the unit and of the convolutions


@dataclass(frozen=True)
class CRNNConfig(Sizes):
    """Sizes of CRNN-MRI; the defaults are for a processor."""

    channels: int = 16
    cascades: int = 3  # two at least: hidden states pass from one to the next
    shared_directions: bool = True  # one cell forward and backward in time

    def __post_init__(self) -> None:
        check_sizes(channels=(self.channels, 1), cascades=(self.cascades, 2))


PAPER = CRNNConfig(channels=64, cascades=2, shared_directions=False, start="gridded")


class CRNN(ResidualRegulariser):
    """The regulariser of CRNN-MRI."""

    def __init__(self, config: CRNNConfig) -> None:
        super().__init__()
        n = config.channels
        if config.shared_directions:
            self.units = nn.ModuleList([RecurrentUnit(2, n, "both")])
        else:
            self.units = nn.ModuleList([RecurrentUnit(2, n, "forward"), RecurrentUnit(2, n, "backward")])
        self.convolutions = nn.ModuleList(conv(n, n, 3) for _ in range(N_CONVOLUTIONS))
        self.recurrent = nn.ModuleList(conv(n, n, 3) for _ in range(N_CONVOLUTIONS))
        self.last = conv(n, 2, 3)

    def residual(
        self, x: Float[Tensor, "frame 2 y x"], state: Hidden | None, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], Hidden]:
        """What is added, and the hidden states of all layers."""
        first, *others = state or (None,) * (1 + N_CONVOLUTIONS)
        hidden = [reduce(torch.add, (unit(x, first) for unit in self.units))]
        for convolution, recurrent, before in zip(self.convolutions, self.recurrent, others, strict=True):
            assert isinstance(recurrent, nn.Conv2d)
            hidden.append(torch.relu(convolution(hidden[-1]) + taken_over(recurrent, before)))
        return self.last(hidden[-1]), tuple(hidden)


def build(config: CRNNConfig) -> UnrolledNetwork:
    """CRNN-MRI: one regulariser for all cascades, gradient steps towards the data."""
    return UnrolledNetwork([CRNN(config)], config.cascades, "gradient", config.start)
