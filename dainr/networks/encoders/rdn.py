"""RDN, the residual dense network (Zhang et al., CVPR 2018, arXiv 1802.08797), made compact: fewer, narrower blocks."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dainr.networks.encoders.encoder import N_COLOURS, Encoder

N_BLOCKS, N_LAYERS, GROWTH, N_FEATURES = 6, 5, 32, 64  # published: 16, 8, 64, 64


class RDN(Encoder):
    """Dense blocks whose outputs are all fused, added to the first features; no upsampler."""

    def __init__(self) -> None:
        super().__init__()
        self.restores_frames = False
        self.head = nn.Sequential(nn.Conv2d(N_COLOURS, N_FEATURES, 3, padding=1))
        self.second = nn.Conv2d(N_FEATURES, N_FEATURES, 3, padding=1)
        self.blocks = nn.ModuleList(_DenseBlock() for _ in range(N_BLOCKS))
        fuse, last = nn.Conv2d(N_BLOCKS * N_FEATURES, N_FEATURES, 1), nn.Conv2d(N_FEATURES, N_FEATURES, 3, padding=1)
        self.body = nn.Sequential(fuse, last)
        self.tail = nn.Sequential(nn.Conv2d(N_FEATURES, N_COLOURS, 3, padding=1))

    def trunk(self, x: Float[Tensor, "image 3 y x"], scale: int = 2) -> Float[Tensor, "image feature y x"]:
        """Features of images; all scales are one."""
        first = self.head(x)
        x, outputs = self.second(first), []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        return first + self.body(torch.cat(outputs, 1))


class _DenseBlock(nn.Module):
    """Layers that each see all features before them, fused by a 1 x 1 convolution and added to the input."""

    def __init__(self) -> None:
        super().__init__()
        widths = [N_FEATURES + i * GROWTH for i in range(N_LAYERS)]
        self.layers = nn.ModuleList(nn.Conv2d(width, GROWTH, 3, padding=1) for width in widths)
        self.body = nn.Sequential(nn.Conv2d(N_FEATURES + N_LAYERS * GROWTH, N_FEATURES, 1))

    def forward(self, x: Tensor) -> Tensor:
        seen = x
        for layer in self.layers:
            seen = torch.cat([seen, torch.relu(layer(seen))], 1)
        return x + self.body(seen)
