"""An unrolled network: cascades of a learned regulariser and data consistency, from first images to better ones.

Images stay complex but inside the regularisers, which see real and imaginary part as channels. All is done on images
of unit mean square, so that the network does not depend on how bright a scan is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dainr.machine.device import memory_bytes
from dainr.networks.unrolled.consistency import Kind, make_consistency
from dainr.operators.measured import Measured

ROOM, PASSES = 0.25, 3  # share of the memory for activations, of the passes that a loss makes at most

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
    """Regularisers and data consistency in turn. One regulariser alone serves all cascades, and one consistency.

    A consistency is a kind that each cascade has one of, or a module for each, which maps images and a measurement.
    """

    def __init__(
        self,
        regularisers: Sequence[Regulariser],
        cascades: int,
        consistency: Kind | Sequence[nn.Module],
        start: Start = "gridded",
    ) -> None:
        super().__init__()
        self.start = start
        self.mixed = False  # whether regularisers compute in bfloat16 while gradients are asked for
        self.room = 0  # bytes that the activations of a pass may take; a cascade beyond it computes its own again
        self._sizes: dict[torch.Size, int] = {}  # of a cascade's activations, by the shape of the images
        if len(regularisers) not in (1, cascades):
            raise ValueError(f"{len(regularisers)} regularisers for {cascades} cascades")
        self.cascades = cascades
        self.regularisers = nn.ModuleList(regularisers)
        if isinstance(consistency, str):
            consistency = [make_consistency(consistency) for _ in regularisers]
        if len(consistency) != len(regularisers):
            raise ValueError(f"{len(consistency)} consistencies for {len(regularisers)} regularisers")
        self.consistencies = nn.ModuleList(consistency)

    def forward(self, measured: Measured) -> Complex[Tensor, "frame y x"]:
        """The images of a measurement.

        While gradients are asked for, the activations of one cascade are in memory, and of as many as there is `room`.
        """
        start = measured.rhs if self.start == "gridded" else _around_average(measured)
        brightness = start.abs().square().mean().sqrt().clamp(min=torch.finfo().tiny)
        measured = measured.scaled(1 / brightness)
        x, state = start / brightness, None
        for number in range(self.cascades):
            cascade, size = partial(self._cascade, number % len(self.regularisers), measured), self._sizes.get(x.shape)
            if not torch.is_grad_enabled() or (size is not None and (number + 1) * size <= self.room):
                x, state = cascade(x, state)
            elif size is None and self.room:
                x, state = self._measured_cascade(cascade, x, state)
            else:
                x, state = checkpoint(cascade, x, state, use_reentrant=False, preserve_rng_state=False)
        return brightness * x

    def _measured_cascade(
        self, cascade: Callable[..., tuple[Tensor, Any]], x: Tensor, state: Any
    ) -> tuple[Tensor, Any]:
        """A cascade, the first for images of this shape: how many bytes it keeps for its gradients is noted."""
        kept: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            result = cascade(x, state)
        self._sizes[x.shape] = sum(kept.values())
        return result

    def _cascade(self, number: int, measured: Measured, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        parts = torch.view_as_real(x).permute(0, 3, 1, 2)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.mixed and torch.is_grad_enabled()):
            parts, state = self.regularisers[number](parts, state, measured.cyclic)
        x = torch.view_as_complex(parts.to(x.real.dtype).permute(0, 2, 3, 1).contiguous())
        return self.consistencies[number](x, measured), state


def room_of_a_pass(device: torch.device) -> int:
    """Bytes that the activations of a pass may take, where a loss makes no more passes than the losses here do."""
    return int(ROOM * memory_bytes(device)) // PASSES


def _around_average(measured: Measured) -> Complex[Tensor, "frame y x"]:
    """A gradient step from the time average: what is still is there, what moves as far as a frame's readouts tell."""
    still = measured.average.expand(len(measured.rhs), -1, -1).contiguous()
    return still - (measured.gram(still) - measured.rhs)
