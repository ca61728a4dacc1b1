"""What regularisers of unrolled networks share: normalisation, padding, convolutions over space and time, recurrence.

Series are `frame channel y x`, so that everything but a recurrence over time runs for all frames at once. Features lie
with their channels last in memory, which is faster on processors by a factor of two to five.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dainr.errors import BadRequest
from dainr.networks.unrolled.unrolled import Regulariser

Direction = Literal["forward", "backward", "both"]


class ResidualRegulariser(Regulariser):
    """x + d r((x - m) / d): m and d are the mean and the deviation of real and imaginary parts of all frames together.

    So the images may be of any brightness, and of any size: r sees them enlarged to a multiple of `multiple` pixels by
    zeros, which are the mean.
    """

    multiple = 1
    centred = True  # whether the mean is taken off

    def forward(
        self, x: Float[Tensor, "frame 2 y x"], state: Any, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], Any]:
        """The images plus what the network adds to them, and its state."""
        normalised, deviation = normalise(x, self.centred)
        padded = pad_to_multiple(normalised, self.multiple).contiguous(memory_format=torch.channels_last)
        residual, state = self.residual(padded, state, cyclic)
        return x + deviation * residual[:, :, : x.shape[2], : x.shape[3]], state

    def residual(
        self, x: Float[Tensor, "frame 2 y x"], state: Any, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], Any]:
        """What is added to normalised images, and what the next cascade takes over."""
        raise TypeError(f"{type(self).__name__} adds nothing")


def normalise(x: Float[Tensor, "frame 2 y x"], centred: bool) -> tuple[Float[Tensor, "frame 2 y x"], Float[Tensor, ""]]:
    """Values of deviation one, and the deviation they had; of mean zero where `centred`, else about zero."""
    if centred:
        x = x - x.mean()
    deviation = x.square().mean().clamp(min=torch.finfo(x.dtype).tiny).sqrt()
    return x / deviation, deviation


def pad_to_multiple(x: Float[Tensor, "frame channel y x"], multiple: int) -> Float[Tensor, "frame channel ym xm"]:
    """Zeros after the last row and column, up to a multiple."""
    return functional.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple))


class Pointwise(nn.Conv2d):
    """A 1 x 1 convolution as a matrix product over the channels: on one processor torch's own goes a slow way."""

    def forward(self, x: Float[Tensor, "frame input y x"]) -> Float[Tensor, "frame output y x"]:
        """Of the size of the input."""
        return functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(0, 3, 1, 2)


def conv(n_in: int, n_out: int, size: int, dilation: int = 1, bias: bool = True) -> nn.Conv2d:
    """A convolution of each frame which keeps its size."""
    if size == 1:
        return Pointwise(n_in, n_out, 1, bias=bias)
    return nn.Conv2d(n_in, n_out, size, padding=size // 2 * dilation, dilation=dilation, bias=bias)


def neighbour(x: Float[Tensor, "frame ..."], offset: int, cyclic: bool) -> Float[Tensor, "frame ..."]:
    """Frame t + offset in place of frame t; beyond the ends the cycle goes on, or the last frame stands still."""
    if cyclic:
        return x.roll(-offset, 0)
    n = len(x)
    steps = min(abs(offset), n)
    still = (steps, *(-1 for _ in x.shape[1:]))
    if offset < 0:
        return torch.cat([x[:1].expand(still), x[: n - steps]])
    return torch.cat([x[steps:], x[-1:].expand(still)]) if offset else x


def sum_of_taps(
    taps: Float[Tensor, "frame three_channels y x"], bias: Float[Tensor, " channel"] | None, cyclic: bool
) -> Float[Tensor, "frame channel y x"]:
    """z0 of the frame before, z1 of the frame and z2 of the one after, added; `taps` holds all three as channels."""
    before, here, after = taps.permute(0, 2, 3, 1).chunk(3, -1)
    total = neighbour(before, -1, cyclic) + here + neighbour(after, 1, cyclic)
    return (total if bias is None else total + bias).permute(0, 3, 1, 2)


class SpaceTimeConv(nn.Module):
    """A convolution over three frames and `size` x `size` pixels: one of each frame to three taps, and their sum."""

    def __init__(self, n_in: int, n_out: int, size: int, dilation: int = 1) -> None:
        super().__init__()
        self.taps = conv(n_in, 3 * n_out, size, dilation, bias=False)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x: Float[Tensor, "frame input y x"], cyclic: bool) -> Float[Tensor, "frame output y x"]:
        """Of the shape of the input; in time it wraps where cyclic, else the first and last frame stand still."""
        return sum_of_taps(self.taps(x), self.bias, cyclic)


class SpaceThenTime(nn.Module):
    """A (2+1)D convolution: 3 x 3 pixels, then three frames, ReLU after each."""

    def __init__(self, n_in: int, n_out: int, dilation: int = 1) -> None:
        super().__init__()
        self.space = conv(n_in, n_out, 3, dilation)
        self.time = SpaceTimeConv(n_out, n_out, 1)

    def forward(self, x: Float[Tensor, "frame input y x"], cyclic: bool) -> Float[Tensor, "frame output y x"]:
        """Of the shape of the input."""
        return torch.relu(self.time(torch.relu(self.space(x)), cyclic))


class RecurrentUnit(nn.Module):
    """h_t = relu(i2h * x_t + h2h * h_(t-1) + ih2ih * g_t), all of them 3 x 3 convolutions with a bias.

    g are hidden states that the previous cascade left. "backward" goes from the last frame to the first; "both" adds
    the two, with the same weights. No frame comes before the first: its h_(t-1) is zero, in cyclic series too.
    """

    def __init__(self, n_in: int, n_hidden: int, direction: Direction, dilation: int = 1) -> None:
        super().__init__()
        self.direction, self.dilation = direction, dilation
        self.i2h = conv(n_in, n_hidden, 3, dilation)
        self.h2h = conv(n_hidden, n_hidden, 3, dilation)
        self.ih2ih = conv(n_hidden, n_hidden, 3, dilation)

    def forward(
        self, x: Float[Tensor, "frame input y x"], before: Float[Tensor, "frame hidden y x"] | None
    ) -> Float[Tensor, "frame hidden y x"]:
        """The hidden states of all frames; without `before` they are zero, as in the first cascade."""
        assert self.h2h.bias is not None
        drive = self.i2h(x) + taken_over(self.ih2ih, before) + self.h2h.bias[:, None, None]
        if self.direction == "both":
            return self._run(drive, False) + self._run(drive, True)
        return self._run(drive, self.direction == "backward")

    def _run(self, drive: Float[Tensor, "frame hidden y x"], backward: bool) -> Float[Tensor, "frame hidden y x"]:
        """The recurrence through all frames."""
        frames = list(drive.split(1))
        hidden: list[Tensor] = []
        for frame in reversed(frames) if backward else frames:
            if hidden:
                past = functional.conv2d(hidden[-1], self.h2h.weight, padding=self.dilation, dilation=self.dilation)
                frame = frame + past
            hidden.append(torch.relu(frame))
        return torch.cat(hidden[::-1] if backward else hidden)


def taken_over(convolution: nn.Conv2d, before: Float[Tensor, "frame hidden y x"] | None) -> Tensor:
    """The convolution of what the previous cascade left; of zeros in the first, where that is the bias."""
    if before is not None:
        return convolution(before)
    assert convolution.bias is not None
    return convolution.bias[:, None, None]


MOST = 4096  # channels and the like


def check_sizes(**sizes: tuple[int, int]) -> None:
    """Raises BadRequest where the first of a setting's pair is less than the second, or out of all bounds."""
    for name, (value, least) in sizes.items():
        if value < least:
            raise BadRequest(f"{name}={value}", "that is too few", f"choose {least} or more")
        if value > MOST:
            raise BadRequest(f"{name}={value}", "that is too many", f"choose {MOST} or fewer")
