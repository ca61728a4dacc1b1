"""A compact PromptMR: a U-Net whose decoder is given learned prompts (Xin et al., STACOM 2023, arXiv 2309.13839).

Each frame is seen with its neighbours, `adjacent` on either side. At each level of the decoder a prompt is made, the
mean of a few learned feature maps, weighted by softmax of a linear function of the features' averages, brought to the
size of the features and convolved; it is joined to them. So one network adapts itself to what it is given.

Left out of the original are its network for coil maps, its second stage, which refines the images, and all but one of
the two or three blocks of attention at a place; its prompts are twice as large along each axis, and most have more
channels. The published size has 48, 72, 96 and 120 channels, 12 cascades and five frames at once as the original, and
27.4 M parameters; the original has about 82 M, the PromptMR that CRUNet-MR was compared with 30.5 M.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dainr.networks.unrolled.layers import ResidualRegulariser, check_sizes, conv, neighbour
from dainr.networks.unrolled.unrolled import Sizes, UnrolledNetwork

LEVELS = 3  # above the bottleneck
N_PROMPTS, PROMPT_SIZE = 5, 32  # prompts of a level; rows and columns of those of level 1, half as many at every next
REDUCTION = 4  # of the channels, inside the attention


@dataclass(frozen=True)
class PromptMRConfig(Sizes):
    """Sizes of PromptMR; the defaults are for a processor."""

    channels: int = 12  # of the first level; every next one has half as many more
    cascades: int = 2
    adjacent: int = 1  # neighbours seen before and after a frame

    def __post_init__(self) -> None:
        check_sizes(channels=(self.channels, REDUCTION), cascades=(self.cascades, 1), adjacent=(self.adjacent, 0))


PAPER = PromptMRConfig(channels=48, cascades=12, adjacent=2, start="gridded")


class AttentionBlock(nn.Module):
    """x + a c(x): two convolutions c, and for each channel a weight a in (0, 1) from the averages of all channels."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.one, self.two = conv(n, n, 3), conv(n, n, 3)
        self.squeeze, self.excite = nn.Linear(n, n // REDUCTION), nn.Linear(n // REDUCTION, n)

    def forward(self, x: Float[Tensor, "frame n y x"]) -> Float[Tensor, "frame n y x"]:
        """Of the shape of the input."""
        change = self.two(torch.relu(self.one(x)))
        weights = torch.sigmoid(self.excite(functional.leaky_relu(self.squeeze(change.mean((2, 3))), 0.1)))
        return x + weights[:, :, None, None] * change


class Prompts(nn.Module):
    """Learned feature maps, weighted for each frame by what its features are on average."""

    def __init__(self, n_features: int, n_prompt: int, size: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.rand(N_PROMPTS, n_prompt, size, size))
        self.weights = nn.Linear(n_features, N_PROMPTS)
        self.smooth = conv(n_prompt, n_prompt, 3)

    def forward(self, x: Float[Tensor, "frame n y x"]) -> Float[Tensor, "frame prompt y x"]:
        """The prompt for some features, of their size."""
        weights = torch.softmax(self.weights(x.mean((2, 3))), 1)
        mixed = torch.einsum("fp,pcyx->fcyx", weights, self.maps)
        return self.smooth(functional.interpolate(mixed, size=x.shape[2:], mode="bilinear", align_corners=False))


class PromptedUp(nn.Module):
    """A level of the decoder: features and their prompt, enlarged, and the encoder's of the level above."""

    def __init__(self, n_in: int, n_out: int, size: int) -> None:
        super().__init__()
        self.prompts = Prompts(n_in, n_out // 2, size)
        self.prompted = AttentionBlock(n_in + n_out // 2)
        self.enlarge = conv(n_in + n_out // 2, n_out, 1)
        self.join = conv(2 * n_out, n_out, 1)
        self.attention = AttentionBlock(n_out)

    def forward(
        self, x: Float[Tensor, "frame input yh xh"], beside: Float[Tensor, "frame output y x"]
    ) -> Float[Tensor, "frame output y x"]:
        """Features of the level above."""
        narrow = self.enlarge(self.prompted(torch.cat([x, self.prompts(x)], 1)))
        large = functional.interpolate(narrow, scale_factor=2, mode="bilinear", align_corners=False)
        return self.attention(self.join(torch.cat([large, beside], 1)))


class PromptMR(ResidualRegulariser):
    """The regulariser of PromptMR; all frames at once, each with its neighbours."""

    multiple = 2**LEVELS

    def __init__(self, config: PromptMRConfig) -> None:
        super().__init__()
        n = config.channels
        widths = [n + level * n // 2 for level in range(LEVELS + 1)]
        self.adjacent = config.adjacent
        self.first = conv(2 * (2 * config.adjacent + 1), n, 3)
        self.encoder = nn.ModuleList(AttentionBlock(width) for width in widths)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in pairwise(widths))
        self.decoder = nn.ModuleList(
            PromptedUp(widths[level + 1], widths[level], PROMPT_SIZE >> level) for level in reversed(range(LEVELS))
        )
        self.last = conv(n, 2, 5)

    def residual(
        self, x: Float[Tensor, "frame 2 y x"], state: None, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], None]:
        """What is added; there is nothing to take over."""
        offsets = range(-self.adjacent, self.adjacent + 1)
        features = self.first(torch.cat([neighbour(x, offset, cyclic) for offset in offsets], 1))
        levels: list[Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(self.down[level - 1](features) if level else features)
            levels.append(features)
        features = levels.pop()
        for decoder in self.decoder:
            features = decoder(features, levels.pop())
        return self.last(features), None


def build(config: PromptMRConfig) -> UnrolledNetwork:
    """PromptMR: each cascade has its own regulariser; gradient steps towards the data."""
    return UnrolledNetwork(
        [PromptMR(config) for _ in range(config.cascades)], config.cascades, "gradient", config.start
    )
