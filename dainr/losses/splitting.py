"""SSDU: a network sees some of a frame's readouts and is judged by the others (Yaman et al., MRM 2020;84:3172).

Every step and every frame have a split of their own. How many judge follows from how many there are: of few readouts
few, for what a network learns with the rest must serve for all of them. The centre of k-space, where a frame has
calibration lines, is in both sets. The third set of the zero-shot form (Yaman et al., ICLR 2022, arXiv 2102.07737), by
which a fit is judged, are the readouts that every fit holds out: no loss has them.

The weighted form divides by the density with which places of k-space judge, so that the loss stands for all of k-space
and not for its centre alone (after Millard & Chiew, IEEE Trans Comput Imaging 2023;9:707): by the share of frames that
measure there, on the grid (of spokes W makes up for it), times the chance of the split.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dainr.errors import BadRequest
from dainr.losses.consistency import Network, relative_misfit
from dainr.operators.measured import Measurements

MOST, ALL = (
    0.4,
    32,
)  # share that judges of many readouts; of fewer, it is their number over that at which it would be all


@dataclass(frozen=True)
class SplittingConfig:
    """How readouts are split."""

    ratio: float = 0.0  # of a frame's readouts beside the centre, that judge; 0: by how many there are
    weighted: bool = False  # by the density of what judges

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise BadRequest(f"ratio={self.ratio}", "it is no share of the readouts", "choose one below 1")


def ssdu(
    network: Network,
    measurements: Measurements,
    generator: torch.Generator,
    config: SplittingConfig = SplittingConfig(),
) -> Float[Tensor, ""]:
    """The relative misfit of f(readouts of one set) to those of the other.

    Raises BadRequest where there are too few.
    """
    seen, judging = split(measurements, config.ratio, generator)
    images = network(measurements.of(seen))
    if not config.weighted:
        return relative_misfit(measurements.of(judging), images)
    chance = torch.where(seen & judging, 1.0, _shares(config.ratio, _free(measurements))[:, None])
    return relative_misfit(measurements.of(judging / (chance * measurements.occurrence.cpu())), images)


def split(
    measurements: Measurements,
    ratio: float,
    generator: torch.Generator,
) -> tuple[Bool[Tensor, "frame group"], Bool[Tensor, "frame group"]]:
    """Groups that a network sees, and groups that judge it; on the CPU.

    In every frame each group but the centre judges with a chance of exactly `ratio`, as evenly as that goes: of 5
    with 0.4 always 2, of 4 one or two. Raises BadRequest where the whole series has less than two groups to split.
    """
    filled, free = measurements.filled.cpu(), _free(measurements)
    centre = filled & ~free
    if int(free.sum()) < 2:
        raise BadRequest(
            "the loss ssdu", "there are less than two readouts to split beside the centre's", "choose loss=ddei"
        )
    score = torch.rand(free.shape, generator=generator, device=generator.device).cpu().masked_fill(~free, 2.0)
    chance = torch.rand(len(free), generator=generator, device=generator.device).cpu()
    n_judging = (_shares(ratio, free) * free.sum(1) + chance).floor()
    judging = free & (score.argsort(1).argsort(1) < n_judging[:, None])
    if not judging.any():  # few readouts, and chance would have none
        judging = score == score.min()
    elif not (free & ~judging).any():
        judging &= score < score[free].max()
    return filled & ~judging, judging | centre


def _free(measurements: Measurements) -> Bool[Tensor, "frame group"]:
    """The groups that either set may have: all but the centre."""
    free = measurements.filled.cpu().clone()
    free[:, 0] &= not measurements.centre
    return free


def _shares(ratio: float, free: Bool[Tensor, "frame group"]) -> Float[Tensor, " frame"]:
    """The share of each frame's groups that judges: `ratio`, or by how many of them there are."""
    n = free.sum(1)
    return torch.full((len(n),), ratio) if ratio else (n / ALL).clamp(max=MOST)
