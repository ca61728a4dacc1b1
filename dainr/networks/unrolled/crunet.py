"""CRUNet-MR, a U-Net whose encoder runs forward and whose decoder runs backward in time (Lyu et al., Med Phys).

    level 1      forward unit + 1 x 1                           backward unit + 1 x 1, with level 1 to a (2+1)D
    level 2      (2+1)D of [forward unit + 1 x 1]               likewise, with level 2
    bottleneck                     (2+1)D of [unit in both directions + 1 x 1]

Every level has as many channels; units and (2+1)D convolutions of a level are dilated alike. Going down is a 2 x 2
convolution of stride 2, ReLU and a convolution of three frames; going up is bilinear. Encoder and decoder of a level
take over what the decoder of that level left in the previous cascade, the bottleneck what it left itself. In the first
cascade each takes its own input instead: of zeros those weights would learn nothing.

All convolutions have a bias. The published size has 907,586 parameters in each of five cascades, 4,537,930 together,
as many as the authors' network uses; the five consistency weights of this program come on top.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dainr.networks.unrolled.layers import (
    Direction,
    RecurrentUnit,
    ResidualRegulariser,
    SpaceThenTime,
    SpaceTimeConv,
    check_sizes,
    conv,
)
from dainr.networks.unrolled.unrolled import Sizes, UnrolledNetwork

Left = tuple[Tensor, Tensor, Tensor]  # of the decoder's levels 1 and 2 and of the bottleneck


@dataclass(frozen=True)
class CRUNetConfig(Sizes):
    """Sizes of CRUNet-MR; the defaults are for a processor."""

    channels: int = 16
    cascades: int = 3
    dilations: Literal["1,2,4", "1,3,5"] = "1,2,4"  # of levels 1 and 2 and of the bottleneck; wider at 24-fold

    def __post_init__(self) -> None:
        check_sizes(channels=(self.channels, 1), cascades=(self.cascades, 1))


PAPER = CRUNetConfig(channels=64, cascades=5, start="gridded")


class RecurrentBranch(nn.Module):
    """A recurrent unit beside a 1 x 1 convolution, added."""

    def __init__(self, n: int, direction: Direction, dilation: int) -> None:
        super().__init__()
        self.unit = RecurrentUnit(n, n, direction, dilation)
        self.beside = conv(n, n, 1)

    def forward(
        self, x: Float[Tensor, "frame n y x"], before: Float[Tensor, "frame n y x"] | None
    ) -> Float[Tensor, "frame n y x"]:
        """Of the shape of the input, which stands for `before` in the first cascade."""
        return self.unit(x, x if before is None else before) + self.beside(x)


class Down(nn.Module):
    """Half as many rows and columns, then a convolution of three frames."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.space = nn.Conv2d(n, n, 2, stride=2)
        self.time = SpaceTimeConv(n, n, 1)

    def forward(self, x: Float[Tensor, "frame n y x"], cyclic: bool) -> Float[Tensor, "frame n yh xh"]:
        """Rows and columns must be even."""
        return self.time(torch.relu(self.space(x)), cyclic)


class CRUNet(ResidualRegulariser):
    """The regulariser of CRUNet-MR."""

    multiple = 8

    def __init__(self, config: CRUNetConfig) -> None:
        super().__init__()
        n = config.channels
        one, two, three = (int(dilation) for dilation in config.dilations.split(","))
        self.first = conv(2, n, 3)
        self.encoder1, self.down1 = RecurrentBranch(n, "forward", one), Down(n)
        self.encoder2, self.joined2, self.down2 = RecurrentBranch(n, "forward", two), SpaceThenTime(n, n, two), Down(n)
        self.bottleneck, self.joined3 = RecurrentBranch(n, "both", three), SpaceThenTime(n, n, three)
        self.decoder2, self.merged2 = RecurrentBranch(n, "backward", two), SpaceThenTime(2 * n, n, two)
        self.decoder1, self.merged1 = RecurrentBranch(n, "backward", one), SpaceThenTime(2 * n, n, one)
        self.last = conv(n, 2, 5)

    def residual(
        self, x: Float[Tensor, "frame 2 y x"], state: Left | None, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], Left]:
        """What is added, and what decoder and bottleneck leave."""
        left1, left2, left3 = state or (None, None, None)
        level1 = self.encoder1(self.first(x), left1)
        level2 = self.joined2(self.encoder2(self.down1(level1, cyclic), left2), cyclic)
        bottom = self.joined3(self.bottleneck(self.down2(level2, cyclic), left3), cyclic)
        decoded2 = self.merged2(torch.cat([self.decoder2(_up(bottom), left2), level2], 1), cyclic)
        decoded1 = self.merged1(torch.cat([self.decoder1(_up(decoded2), left1), level1], 1), cyclic)
        return self.last(decoded1), (decoded1, decoded2, bottom)


def _up(x: Float[Tensor, "frame n y x"]) -> Float[Tensor, "frame n y2 x2"]:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def build(config: CRUNetConfig) -> UnrolledNetwork:
    """CRUNet-MR: each cascade has its own regulariser; gradient steps towards the data."""
    return UnrolledNetwork([CRUNet(config) for _ in range(config.cascades)], config.cascades, "gradient", config.start)
