"""MDSR, the multi-scale super-resolution network of Lim et al. (CVPR Workshops 2017), in its baseline shape.

16 residual blocks of 64 features between a head and, for each scale, a pair of 5x5 pre-processing blocks and an
upsampler. Parameter names are those of the official checkpoint, so that its file loads. A fit uses the trunk: no
upsampler, no tail.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dainr.networks.encoders.encoder import N_COLOURS, Encoder

SCALES = (2, 3, 4)
STAGES = {"fitted": 2, "iterated": 3, "gridded": 4}  # scales of weights that restore frames, by what made the frames
N_BLOCKS, N_FEATURES = 16, 64
RGB_MEAN = (0.4488, 0.4371, 0.4040)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(N_FEATURES, N_FEATURES, kernel), nn.ReLU(), _conv(N_FEATURES, N_FEATURES, kernel)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The block's output, of the shape of its input."""
        return x + self.body(x)


class Upsampler(nn.Sequential):
    """Convolution and pixel shuffle; factor 4 is factor 2 twice."""

    def __init__(self, scale: int) -> None:
        factors = (2, 2) if scale == 4 else (scale,)
        layers: list[nn.Module] = []
        for factor in factors:
            layers += [_conv(N_FEATURES, factor**2 * N_FEATURES, 3), nn.PixelShuffle(factor)]
        super().__init__(*layers)


class MDSR(Encoder):
    """The baseline network; `forward` super-resolves by one of its scales, `trunk` gives the features before that."""

    def __init__(self, rgb_range: float = 255.0) -> None:
        super().__init__()
        self.restores_frames = False  # whether its colours are three successive frames, its tail the same ones restored
        self.sub_mean = _mean_shift(-rgb_range)
        self.head = nn.Sequential(_conv(N_COLOURS, N_FEATURES, 3))
        self.pre_process = nn.ModuleList(nn.Sequential(ResidualBlock(5), ResidualBlock(5)) for _ in SCALES)
        self.body = nn.Sequential(*(ResidualBlock(3) for _ in range(N_BLOCKS)), _conv(N_FEATURES, N_FEATURES, 3))
        self.upsample = nn.ModuleList(Upsampler(scale) for scale in SCALES)
        self.tail = nn.Sequential(_conv(N_FEATURES, N_COLOURS, 3))
        self.add_mean = _mean_shift(rgb_range)

    def trunk(self, x: Float[Tensor, "image 3 y x"], scale: int = 2) -> Float[Tensor, "image 64 y x"]:
        """Features of images, at their own resolution, through the pre-processing of one scale."""
        x = self.pre_process[SCALES.index(scale)](self.head(x))
        return x + self.body(x)

    def forward(self, x: Float[Tensor, "image 3 y x"], scale: int = 2) -> Float[Tensor, "image 3 ys xs"]:
        """Images `scale` times larger, values in [0, rgb_range]."""
        features = self.trunk(self.sub_mean(x), scale)
        return self.add_mean(self.tail(self.upsample[SCALES.index(scale)](features)))


def _conv(n_in: int, n_out: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)


def _mean_shift(scale: float) -> nn.Conv2d:
    shift = nn.Conv2d(N_COLOURS, N_COLOURS, 1)
    with torch.no_grad():
        shift.weight.copy_(torch.eye(N_COLOURS)[:, :, None, None])
        assert shift.bias is not None
        shift.bias.copy_(scale * torch.tensor(RGB_MEAN))
    return shift
