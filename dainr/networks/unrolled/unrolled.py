"""An unrolled network: cascades of a learned regulariser and data consistency, from first images to better ones.

Images stay complex but inside the regularisers, which see real and imaginary part as channels. All is done on images
of unit mean square, so that the network does not depend on how bright a scan is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dainr.networks.unrolled.consistency import Kind, make_consistency
from dainr.operators.measured import Measured

Start = Literal["average", "gridded"]


@dataclass(frozen=True)
class Sizes:
    """What every network has beside sizes of its own."""

    start: Start = "average"  # the time average and what the frames say against it; gridded: frames alone, as published


class Regulariser(nn.Module):
    """The learned part of a cascade."""

    def forward(
        self, x: Float[Tensor, "frame 2 y x"], state: Any, cyclic: bool
    ) -> tuple[Float[Tensor, "frame 2 y x"], Any]:
        """The regularised images, and what the next cascade takes over; `state` is None before the first cascade."""
        raise TypeError(f"{type(self).__name__} regularises nothing")


class UnrolledNetwork(nn.Module):
    """Regularisers and data consistency in turn. One regulariser alone serves all cascades, and one consistency."""

    def __init__(
        self, regularisers: Sequence[Regulariser], cascades: int, consistency: Kind, start: Start = "gridded"
    ) -> None:
        super().__init__()
        self.start = start
        if len(regularisers) not in (1, cascades):
            raise ValueError(f"{len(regularisers)} regularisers for {cascades} cascades")
        self.cascades = cascades
        self.regularisers = nn.ModuleList(regularisers)
        self.consistencies = nn.ModuleList(make_consistency(consistency) for _ in regularisers)

    def forward(self, measured: Measured) -> Complex[Tensor, "frame y x"]:
        """The images of a measurement. While gradients are asked for, one cascade's activations are in memory."""
        start = measured.rhs if self.start == "gridded" else _around_average(measured)
        brightness = start.abs().square().mean().sqrt().clamp(min=torch.finfo().tiny)
        measured = measured.scaled(1 / brightness)
        x, state = start / brightness, None
        for number in range(self.cascades):
            cascade = partial(self._cascade, number % len(self.regularisers), measured)
            if torch.is_grad_enabled():
                x, state = checkpoint(cascade, x, state, use_reentrant=False, preserve_rng_state=False)
            else:
                x, state = cascade(x, state)
        return brightness * x

    def _cascade(self, number: int, measured: Measured, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        parts = torch.view_as_real(x).permute(0, 3, 1, 2)
        parts, state = self.regularisers[number](parts, state, measured.cyclic)
        x = torch.view_as_complex(parts.permute(0, 2, 3, 1).contiguous())
        return self.consistencies[number](x, measured), state


def _around_average(measured: Measured) -> Complex[Tensor, "frame y x"]:
    """A gradient step from the time average: what is still is there, what moves as far as a frame's readouts tell."""
    still = measured.average.expand(len(measured.rhs), -1, -1).contiguous()
    return still - (measured.gram(still) - measured.rhs)
