"""SwinIR (Liang et al., ICCV Workshops 2021, arXiv 2108.10257), made compact: attention within shifted windows.

Windows of 8 x 8 pixels; every second layer shifts them by half a window, with what leaves one edge coming in at the
other and masked there. Images are reflected to a multiple of the window and cut again.
"""

from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from dainr.networks.encoders.encoder import N_COLOURS, Encoder

WINDOW = 8
N_GROUPS, N_LAYERS, N_FEATURES, N_HEADS = 4, 4, 60, 6  # published, lightweight: 4, 6, 60, 6
WIDER = 2  # of the hidden layer, over the features


class SwinIR(Encoder):
    """Groups of attention layers between convolutions, the first features added at the end; no upsampler."""

    def __init__(self) -> None:
        super().__init__()
        self.restores_frames = False
        self.head = nn.Sequential(nn.Conv2d(N_COLOURS, N_FEATURES, 3, padding=1))
        self.groups = nn.ModuleList(_Group() for _ in range(N_GROUPS))
        self.norm = nn.LayerNorm(N_FEATURES)
        self.body = nn.Sequential(nn.Conv2d(N_FEATURES, N_FEATURES, 3, padding=1))
        self.tail = nn.Sequential(nn.Conv2d(N_FEATURES, N_COLOURS, 3, padding=1))

    def trunk(self, x: Float[Tensor, "image 3 y x"], scale: int = 2) -> Float[Tensor, "image feature y x"]:
        """Features of images; all scales are one."""
        rows, columns = x.shape[2:]
        down, right = -rows % WINDOW, -columns % WINDOW
        mode = "reflect" if down < rows and right < columns else "replicate"
        first = self.head(functional.pad(x, (0, right, 0, down), mode=mode))
        inner = first
        for group in self.groups:
            inner = group(inner)
        inner = self.norm(inner.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return (first + self.body(inner))[:, :, :rows, :columns]


class _Group(nn.Module):
    """Attention layers, every second one shifted, and a convolution, added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_Layer(WINDOW // 2 * (i % 2)) for i in range(N_LAYERS))
        self.body = nn.Sequential(nn.Conv2d(N_FEATURES, N_FEATURES, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        inner = x.permute(0, 2, 3, 1)
        for layer in self.layers:
            inner = layer(inner)
        return x + self.body(inner.permute(0, 3, 1, 2))


class _Layer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), on `image y x feature`."""

    def __init__(self, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm_attention, self.norm_mlp = nn.LayerNorm(N_FEATURES), nn.LayerNorm(N_FEATURES)
        self.qkv = nn.Linear(N_FEATURES, 3 * N_FEATURES)
        self.body = nn.Sequential(nn.Linear(N_FEATURES, N_FEATURES))
        hidden = WIDER * N_FEATURES
        self.mlp = nn.Sequential(nn.Linear(N_FEATURES, hidden), nn.GELU(), nn.Linear(hidden, N_FEATURES))
        self.bias = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, N_HEADS))  # of each relative position

    def forward(self, x: Float[Tensor, "image y x feature"]) -> Float[Tensor, "image y x feature"]:
        x = x + self._attention(self.norm_attention(x))
        return x + self.mlp(self.norm_mlp(x))

    def _attention(self, x: Tensor) -> Tensor:
        n, rows, columns, _ = x.shape
        shifted = x.roll((-self.shift, -self.shift), (1, 2)) if self.shift else x
        q, k, v = self.qkv(_windows(shifted)).unflatten(-1, (3, N_HEADS, -1)).permute(2, 0, 3, 1, 4)
        bias = self.bias[_relative(x.device)].permute(2, 0, 1)[None]
        if self.shift:
            apart = ~_together((rows, columns), self.shift, x.device)
            bias = bias + bias.new_zeros(apart.shape).masked_fill(apart, -100.0)[:, None].repeat(n, 1, 1, 1)
        bias = bias.to(q.dtype).expand(len(q), -1, -1, -1)
        seen = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        made = _image(self.body(seen.transpose(1, 2).flatten(2)), n, rows, columns)
        return made.roll((self.shift, self.shift), (1, 2)) if self.shift else made


def _windows(x: Float[Tensor, "image y x feature"]) -> Float[Tensor, "window pixel feature"]:
    n, rows, columns, features = x.shape
    cut = x.view(n, rows // WINDOW, WINDOW, columns // WINDOW, WINDOW, features)
    return cut.transpose(2, 3).reshape(-1, WINDOW * WINDOW, features)


def _image(
    windows: Float[Tensor, "window pixel feature"], n: int, rows: int, columns: int
) -> Float[Tensor, "image y x feature"]:
    cut = windows.view(n, rows // WINDOW, columns // WINDOW, WINDOW, WINDOW, -1)
    return cut.transpose(2, 3).reshape(n, rows, columns, -1)


@lru_cache(maxsize=2)
def _relative(device: torch.device) -> Int[Tensor, "pixel pixel"]:
    """The number of the relative position of every two pixels of a window."""
    place = torch.stack(torch.meshgrid(*[torch.arange(WINDOW, device=device)] * 2, indexing="ij")).flatten(1)
    down, right = (place[:, :, None] - place[:, None] + WINDOW - 1).unbind()
    return down * (2 * WINDOW - 1) + right


@lru_cache(maxsize=4)
def _together(matrix: tuple[int, int], shift: int, device: torch.device) -> Bool[Tensor, "window pixel pixel"]:
    """Which pixels of a shifted window were neighbours before what left one edge came in at the other."""
    came = [(torch.arange(n, device=device) >= n - shift).float() for n in matrix]
    region = 2 * came[0][:, None] + came[1]
    of_windows = _windows(region[None, :, :, None])[:, :, 0]
    return of_windows[:, :, None] == of_windows[:, None]
