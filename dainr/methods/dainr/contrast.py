"""Contrast that changes in place, as a bolus or a decaying signal does: its courses over time, to start a field from.

A few maps times their courses hold what a warp of one image cannot. A series whose blocks of pixels brighten and darken
as a whole has such courses, the singular vectors of the blocks' means. Tissue that moves changes its blocks along their
gradients, and a field does better with it from one image and its motion.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

BLOCK = 8  # pixels a side, of half the resolution
MOST = 0.5  # of the change: a series that changes so much in place has courses
TINY = 1e-9  # of the energy of the causes of change


def contrast_courses(
    series: Complex[Tensor, "frame y x"], n_maps: int
) -> tuple[Complex[Tensor, "map y x"], Complex[Tensor, "frame map"]] | None:
    """Maps and courses whose products sum up to the series as nearly as blocks tell; None for what rather moves."""
    n_frames = len(series)
    if n_frames <= n_maps or min(series.shape[1:]) < BLOCK:
        return None
    in_place, moved = causes_of_change(series)
    if not in_place > max(MOST, moved):
        return None
    courses, _, _ = torch.linalg.svd(_blocks(series).mean(-1), full_matrices=False)
    courses = n_frames**0.5 * courses[:, :n_maps]
    turn = courses[:, 0].sum()  # the first is what all frames share: its mean is to be real
    courses = courses * (turn.conj() / turn.abs().clamp(min=torch.finfo(turn.abs().dtype).tiny))
    return torch.tensordot(courses.mH, series, 1) / n_frames, courses


def causes_of_change(series: Complex[Tensor, "frame y x"]) -> tuple[float, float]:
    """The share of what changes over time that brighter and darker blocks explain, and that moving ones do.

    Brighter: a block of the mean image times a number of each frame. Moving: its two gradients times two.
    """
    mean = series.mean(0)
    slopes = torch.gradient(mean)
    change = _real(_blocks(series - mean))
    brighter, moving = _real(_blocks(mean[None])), _real(_blocks(torch.stack(slopes)))
    return _explained(change, brighter), _explained(change, moving)


def _explained(change: Float[Tensor, "frame block part"], causes: Float[Tensor, "cause block part"]) -> float:
    """The share of the energy of all changes that the causes explain, block by block and frame by frame."""
    causes = causes.transpose(0, 1)
    normal = causes @ causes.mT
    tiny = TINY * float(normal.diagonal(dim1=1, dim2=2).max()) + torch.finfo(normal.dtype).tiny
    projected = torch.einsum("bcp,tbp->tbc", causes, change)
    factor = torch.linalg.solve(normal + tiny * torch.eye(normal.shape[1], device=normal.device), projected[..., None])
    return float((projected * factor[..., 0]).sum() / change.square().sum().clamp(min=tiny))


def _blocks(series: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame block pixel"]:
    parts = [functional.unfold(part[:, None], BLOCK, stride=BLOCK).mT for part in (series.real, series.imag)]
    return torch.complex(*parts)


def _real(blocks: Complex[Tensor, "frame block pixel"]) -> Float[Tensor, "frame block part"]:
    return torch.cat([blocks.real, blocks.imag], -1)
