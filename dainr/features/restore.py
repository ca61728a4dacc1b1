"""Frames restored by MDSR: what a network that has seen many beating scenes expects a series to look like.

Three successive frames are the network's three colours, in and out (pretrained/README.md). It sees magnitudes; phases
stay those of the series. All readouts together measure the time average, so the correction's average is taken off
again: the network only says how the frames differ from it.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from dainr.errors import BadRequest
from dainr.features.mdsr import MDSR, STAGES

PERCENTILE = 0.995  # of the magnitudes, brought to one
FRAMES_AT_ONCE = 4
MOVES, STILL = 0.3, 0.3  # of the largest change in time: as much as counts fully; of that: as little as counts not
BLUR, MARGIN = 9, 12  # pixels


class Restorer:
    """A frozen MDSR as a map from a series to a better one. `cyclic`: the last frame precedes the first."""

    def __init__(self, network: MDSR, cyclic: bool, stage: str = "fitted") -> None:
        """`stage`: what made the series. Raises BadRequest for a network that super-resolves single images."""
        if not network.restores_frames:
            raise BadRequest(
                "mdsr_weights", "they super-resolve single images", "use some that restore frames, such as mdsr_cine"
            )
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.cyclic, self.scale = cyclic, STAGES[stage]

    @torch.no_grad()
    def __call__(
        self, series: Complex[Tensor, "frame y x"]
    ) -> tuple[Complex[Tensor, "frame y x"], Float[Tensor, "y x"]]:
        """The series, corrected where it moves, and how far it moves there, from 0 to 1."""
        magnitude = series.abs()
        rank = max(1, round(PERCENTILE * magnitude.numel()))
        white = magnitude.flatten().kthvalue(rank).values.clamp(min=torch.finfo(magnitude.dtype).tiny)
        motion = motion_share(magnitude)
        part = moving_part(motion)
        seen = magnitude[part]
        correction = white * self._restored(seen / white) - seen
        corrected = magnitude.clone()
        corrected[part] += correction - correction.mean(0)
        return series * (corrected.clamp(min=0) / magnitude.clamp(min=torch.finfo(magnitude.dtype).tiny)), motion

    def _restored(self, frames: Float[Tensor, "frame y x"]) -> Float[Tensor, "frame y x"]:
        number = torch.arange(len(frames))
        neighbours = [number - 1, number, number + 1]
        index = [n % len(frames) if self.cyclic else n.clamp(0, len(frames) - 1) for n in neighbours]
        triples = torch.stack([frames[i] for i in index], 1).split(FRAMES_AT_ONCE)
        return torch.cat([restore_triples(self.network, some, self.scale)[:, 1] for some in triples])


def restore_triples(network: MDSR, triples: Float[Tensor, "image 3 y x"], scale: int) -> Float[Tensor, "image 3 y x"]:
    """What the network makes of frame triples."""
    with torch.autocast(triples.device.type, dtype=torch.bfloat16, enabled=_has_bfloat16(triples.device)):
        return network.tail(network.trunk(triples.contiguous(memory_format=torch.channels_last), scale)).float()


def motion_share(magnitude: Float[Tensor, "frame y x"]) -> Float[Tensor, "y x"]:
    """The blurred change of each pixel in time, relative to a share of the largest, at most one."""
    change = functional.avg_pool2d(magnitude.std(0, correction=0)[None], BLUR, 1, BLUR // 2)[0]
    return (change / (MOVES * change.max()).clamp(min=torch.finfo(change.dtype).tiny)).clamp(max=1)


def moving_part(motion: Float[Tensor, "y x"]) -> tuple[slice, slice, slice]:
    """The smallest rectangle, of all frames, around the pixels that move, with a margin."""
    moves = motion > STILL
    if not moves.any():
        return slice(None), slice(None), slice(None)
    rows, columns = (torch.nonzero(moves.any(axis)).flatten() for axis in (1, 0))
    spans = [slice(max(0, int(n[0]) - MARGIN), int(n[-1]) + 1 + MARGIN) for n in (rows, columns)]
    return slice(None), spans[0], spans[1]


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 faster than single precision."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    tests = (
        getattr(torch.cpu, name, lambda: False) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )
    return any(test() for test in tests)
