"""CINENet's regulariser: a complex-valued U-Net of (2+1)D convolutions (Kuestner et al., Sci Rep 2020;10:13710).

Weights are complex, there is no bias, and modReLU, relu(|z| + b) z / |z| with b learned, keeps phases: turned by one
phase, the images come out turned by it. Features hold their real parts, then their imaginary parts, and a complex
convolution is one real convolution by [[Re, -Im], [Im, Re]]. The data are met by conjugate gradients in each cascade.

Ours is for two dimensions and time, the original's for three and time. The published size is of three levels and 32
complex channels in six cascades; the sizes of the original were not at hand.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dainr.networks.unrolled.layers import ResidualRegulariser, check_sizes, sum_of_taps
from dainr.networks.unrolled.unrolled import Sizes, UnrolledNetwork

THRESHOLD = -0.02  # b of modReLU at the start; at zero the network would be linear, much lower shuts its deep levels
EPSILON = 1e-7  # beside |z|^2, for a gradient at zero


@dataclass(frozen=True)
class CineNetConfig(Sizes):
    """Sizes of CINENet; the defaults are for a processor."""

    channels: int = 8  # complex ones of the first level; every next one has twice as many
    levels: int = 3
    cascades: int = 2

    def __post_init__(self) -> None:
        check_sizes(channels=(self.channels, 1), levels=(self.levels, 1), cascades=(self.cascades, 1))


PAPER = CineNetConfig(channels=32, levels=3, cascades=6, start="gridded")


class ComplexConv(nn.Module):
    """A complex convolution of each frame; `taps` > 1: to so many complex outputs of each channel, tap by tap."""

    def __init__(self, n_in: int, n_out: int, size: int, stride: int = 1, taps: int = 1) -> None:
        super().__init__()
        self.taps, self.stride, self.padding = taps, stride, size // 2 if stride == 1 else 0
        weight = torch.randn(taps, 2, n_out, n_in, size, size)
        self.weight = nn.Parameter(weight / math.sqrt(4 * n_in * taps * size**2))

    def forward(self, x: Float[Tensor, "frame input y x"]) -> Float[Tensor, "frame output yo xo"]:
        """Features of real, then imaginary parts; of each tap in turn."""
        real, imaginary = self.weight.unbind(1)
        kernel = torch.cat([torch.cat([real, -imaginary], 2), torch.cat([imaginary, real], 2)], 1)
        return functional.conv2d(x, kernel.flatten(0, 1), stride=self.stride, padding=self.padding)


class ModReLU(nn.Module):
    """relu(|z| + b) z / |z|, b of each complex channel."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full((n,), THRESHOLD))

    def forward(self, x: Float[Tensor, "frame two_n y x"]) -> Float[Tensor, "frame two_n y x"]:
        """Smaller or larger magnitudes, the same phases."""
        parts = x.permute(0, 2, 3, 1).unflatten(3, (2, -1))
        inverse = torch.rsqrt(parts.square().sum(3) + EPSILON)
        gain = torch.relu(1 + self.bias * inverse)
        return (gain[:, :, :, None] * parts).flatten(3).permute(0, 3, 1, 2)


class Block(nn.Module):
    """A (2+1)D convolution: 3 x 3 pixels, then three frames, modReLU after each."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.space, self.bent = ComplexConv(n_in, n_out, 3), ModReLU(n_out)
        self.time, self.bent_again = ComplexConv(n_out, n_out, 1, taps=3), ModReLU(n_out)

    def forward(self, x: Float[Tensor, "frame input y x"], cyclic: bool) -> Float[Tensor, "frame output y x"]:
        """Of the size of the input."""
        return self.bent_again(sum_of_taps(self.time(self.bent(self.space(x))), None, cyclic))


class CineNet(ResidualRegulariser):
    """The regulariser of CINENet."""

    centred = False  # the mean would not turn with the phase

    def __init__(self, config: CineNetConfig) -> None:
        super().__init__()
        widths = [config.channels * 2**level for level in range(config.levels)]
        self.multiple = 2 ** (config.levels - 1)
        self.encoder = nn.ModuleList(Block(n_in, n_out) for n_in, n_out in pairwise([1, *widths]))
        self.down = nn.ModuleList(ComplexConv(n, n, 2, stride=2) for n in widths[:-1])
        upwards = list(pairwise(widths[::-1]))
        self.narrow = nn.ModuleList(ComplexConv(n_in, n_out, 1) for n_in, n_out in upwards)
        self.decoder = nn.ModuleList(Block(2 * n_out, n_out) for _, n_out in upwards)
        self.last = ComplexConv(config.channels, 1, 1)

    def residual(
        self, x: Float[Tensor, "frame 2 y x"], state: None, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], None]:
        """What is added; there is nothing to take over."""
        levels: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            x = block(self.down[level - 1](x) if level else x, cyclic)
            levels.append(x)
        x = levels.pop()
        for narrow, block in zip(self.narrow, self.decoder, strict=True):
            large = functional.interpolate(narrow(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = block(_joined(large, levels.pop()), cyclic)
        return self.last(x), None


def _joined(a: Float[Tensor, "frame two_a y x"], b: Float[Tensor, "frame two_b y x"]) -> Tensor:
    """The channels of both, all real parts before all imaginary ones."""
    (a_real, a_imaginary), (b_real, b_imaginary) = a.chunk(2, 1), b.chunk(2, 1)
    return torch.cat([a_real, b_real, a_imaginary, b_imaginary], 1)


def build(config: CineNetConfig) -> UnrolledNetwork:
    """CINENet: each cascade has its own regulariser; conjugate gradients towards the data."""
    return UnrolledNetwork([CineNet(config) for _ in range(config.cascades)], config.cascades, "proximal", config.start)
