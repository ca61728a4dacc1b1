"""A U-Net with convolutions over 3 x 3 pixels and three frames (Cicek et al., MICCAI 2016, arXiv 1606.06650), once.

The plainest of the networks: a single pass over the gridded frames, one step towards the data after it. It halves rows
and columns only, so the frames may be any number, and it commutes with a shift in time where the series is cyclic. No
normalisation inside.
The published size has 4.02 M parameters; the 3-D U-Net that CRUNet-MR was compared with has 4.00 M, of widths that are
not known.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dainr.networks.unrolled.layers import ResidualRegulariser, SpaceTimeConv, check_sizes, conv
from dainr.networks.unrolled.unrolled import Sizes, UnrolledNetwork


@dataclass(frozen=True)
class UNet3DConfig(Sizes):
    """Sizes of the 3-D U-Net; the defaults are for a processor."""

    channels: int = 12  # of the first level; every next one has twice as many
    levels: int = 3

    def __post_init__(self) -> None:
        check_sizes(channels=(self.channels, 1), levels=(self.levels, 1))


PAPER = UNet3DConfig(channels=56, start="gridded")


class Block(nn.Module):
    """Twice a convolution over space and time and ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.one, self.two = SpaceTimeConv(n_in, n_out, 3), SpaceTimeConv(n_out, n_out, 3)

    def forward(self, x: Float[Tensor, "frame input y x"], cyclic: bool) -> Float[Tensor, "frame output y x"]:
        """Of the size of the input."""
        return torch.relu(self.two(torch.relu(self.one(x, cyclic)), cyclic))


class UNet3D(ResidualRegulariser):
    """The regulariser: encoder, decoder, and what is added to the images."""

    def __init__(self, config: UNet3DConfig) -> None:
        super().__init__()
        widths = [config.channels * 2**level for level in range(config.levels)]
        self.multiple = 2 ** (config.levels - 1)
        self.down = nn.ModuleList(Block(n_in, n_out) for n_in, n_out in pairwise([2, *widths]))
        upwards = list(pairwise(widths[::-1]))
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(n_in, n_out, 2, stride=2) for n_in, n_out in upwards)
        self.up = nn.ModuleList(Block(2 * n_out, n_out) for _, n_out in upwards)
        self.last = conv(config.channels, 2, 1)

    def residual(
        self, x: Float[Tensor, "frame 2 y x"], state: None, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], None]:
        """What is added; there is nothing to take over."""
        levels: list[Tensor] = []
        for block in self.down:
            x = block(functional.max_pool2d(x, 2) if levels else x, cyclic)
            levels.append(x)
        x = levels.pop()
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            x = block(torch.cat([enlarge(x), levels.pop()], 1), cyclic)
        return self.last(x), None


def build(config: UNet3DConfig) -> UnrolledNetwork:
    """The 3-D U-Net and one gradient step towards the data."""
    return UnrolledNetwork([UNet3D(config)], 1, "gradient", config.start)
