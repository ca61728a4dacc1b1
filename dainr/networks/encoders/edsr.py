"""EDSR in its baseline shape (Lim et al., CVPR Workshops 2017): residual blocks without normalisation."""

from jaxtyping import Float
from torch import Tensor, nn

from dainr.networks.encoders.encoder import N_COLOURS, Encoder

N_BLOCKS, N_FEATURES = 16, 64


class EDSR(Encoder):
    """16 residual blocks of 64 features, the last convolution's output added to the head's; no upsampler."""

    def __init__(self) -> None:
        super().__init__()
        self.restores_frames = False
        self.head = nn.Sequential(nn.Conv2d(N_COLOURS, N_FEATURES, 3, padding=1))
        blocks = [_Block() for _ in range(N_BLOCKS)]
        self.body = nn.Sequential(*blocks, nn.Conv2d(N_FEATURES, N_FEATURES, 3, padding=1))
        self.tail = nn.Sequential(nn.Conv2d(N_FEATURES, N_COLOURS, 3, padding=1))

    def trunk(self, x: Float[Tensor, "image 3 y x"], scale: int = 2) -> Float[Tensor, "image feature y x"]:
        """Features of images; all scales are one."""
        x = self.head(x)
        return x + self.body(x)


class _Block(nn.Module):
    """x + conv(relu(conv(x)))."""

    def __init__(self) -> None:
        super().__init__()
        first, last = (nn.Conv2d(N_FEATURES, N_FEATURES, 3, padding=1) for _ in range(2))
        self.body = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)
