"""Frames restored by a network: what a network that has seen many beating scenes expects a series to look like.

Three successive frames are the network's three colours, in and out (pretrained/README.md). It sees magnitudes; phases
stay those of the series. All readouts together measure the time average, so the correction's average is taken off
again: the network only says how the frames differ from it.
"""

from contextlib import nullcontext

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from dainr.errors import BadRequest
from dainr.networks.encoders import Encoder
from dainr.networks.encoders.mdsr import STAGES

PERCENTILE = 0.995  # of the magnitudes, brought to one
FRAMES_AT_ONCE = 4
MOVES = 0.3  # of the largest change in time: as much counts fully
CLEARLY = 0.8  # of that: as much as calls for the network
WORTH = 0.05  # of all pixels that clearly move: as many as a place needs to be looked at, and the largest without them
BLUR, MARGIN = 9, 8  # pixels


class Restorer:
    """A frozen encoder as a map from a series to a better one. `cyclic`: the last frame precedes the first."""

    def __init__(self, network: Encoder, cyclic: bool, stage: str = "fitted") -> None:
        """`stage`: what made the series. Raises BadRequest for a network that super-resolves single images."""
        if not network.restores_frames:
            raise BadRequest(
                "encoder_weights", "they super-resolve single images", "use some that restore frames, such as mdsr_cine"
            )
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.cyclic, self.scale = cyclic, STAGES[stage]

    @torch.no_grad()
    def __call__(
        self, series: Complex[Tensor, "frame y x"]
    ) -> tuple[Complex[Tensor, "frame y x"], Float[Tensor, "y x"]]:
        """The series, corrected where it moves, and how far it moves there, from 0 to 1; elsewhere 0."""
        magnitude = series.abs()
        rank = max(1, round(PERCENTILE * magnitude.numel()))
        white = magnitude.flatten().kthvalue(rank).values.clamp(min=torch.finfo(magnitude.dtype).tiny)
        motion = motion_share(magnitude)
        corrected, share = magnitude.clone(), torch.zeros_like(motion)
        for rows, columns in moving_parts(motion):
            seen = magnitude[:, rows, columns]
            correction = white * self._restored(seen / white) - seen
            corrected[:, rows, columns] = seen + correction - correction.mean(0)
            share[rows, columns] = motion[rows, columns]
        return series * (corrected.clamp(min=0) / magnitude.clamp(min=torch.finfo(magnitude.dtype).tiny)), share

    def _restored(self, frames: Float[Tensor, "frame y x"]) -> Float[Tensor, "frame y x"]:
        """Every frame between its neighbours; where that takes long every second one, and the others beside them."""
        n = len(frames)
        middle = torch.arange(0, n, 1 if has_bfloat16(frames.device) else 2, device=frames.device)
        number = torch.stack([middle - 1, middle, middle + 1], 1)
        number = number % n if self.cyclic else number.clamp(0, n - 1)
        triples = torch.cat(
            [restore_triples(self.network, frames[some], self.scale) for some in number.split(FRAMES_AT_ONCE)]
        )
        shows = (number.flatten() == torch.arange(n, device=frames.device)[:, None]).to(frames.dtype)
        mean = shows / shows.sum(1, keepdim=True)  # a product with it, for additions have an order
        restored = (mean @ triples.flatten(2).flatten(0, 1)).view(frames.shape)
        restored[middle] = triples[:, 1]
        return restored


def restore_triples(
    network: Encoder, triples: Float[Tensor, "image 3 y x"], scale: int
) -> Float[Tensor, "image 3 y x"]:
    """What the network makes of frame triples."""
    device = triples.device
    with torch.autocast(device.type, dtype=torch.bfloat16) if has_bfloat16(device) else nullcontext():
        return network.tail(network.trunk(triples.contiguous(memory_format=torch.channels_last), scale)).float()


def motion_share(magnitude: Float[Tensor, "frame y x"]) -> Float[Tensor, "y x"]:
    """The blurred change of each pixel in time, relative to a share of the largest, at most one."""
    change = functional.avg_pool2d(magnitude.std(0, correction=0)[None], BLUR, 1, BLUR // 2)[0]
    return (change / (MOVES * change.max()).clamp(min=torch.finfo(change.dtype).tiny)).clamp(max=1)


def moving_parts(motion: Float[Tensor, "y x"]) -> list[tuple[slice, slice]]:
    """Rectangles (rows, columns) with a margin around each place that clearly moves; small ones are left out."""
    from scipy.ndimage import find_objects, label

    moves = motion.cpu().numpy() >= CLEARLY
    places, n = label(moves, np.ones((3, 3)))
    sizes = np.bincount(places[moves], minlength=n + 1)[1:]
    least = min(WORTH * sizes.sum(), sizes.max(initial=0))
    found = [place for place, size in zip(find_objects(places), sizes, strict=True) if size >= least]
    return [(_widened(y), _widened(x)) for y, x in found if not any(_within((y, x), other) for other in found)]


def _within(place: tuple[slice, slice], other: tuple[slice, slice]) -> bool:
    """Whether a rectangle is a part of another."""
    sides = zip(place, other, strict=True)
    return place != other and all(o.start <= p.start and p.stop <= o.stop for p, o in sides)


def _widened(side: slice) -> slice:
    return slice(max(0, side.start - MARGIN), side.stop + MARGIN)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 faster than single precision."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # before Ampere torch emulates it
    if device.type != "cpu":
        return False
    tests = (
        getattr(torch.cpu, name, lambda: False) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )
    return any(test() for test in tests)
