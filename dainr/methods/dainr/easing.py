"""Frames that the priors hold back: their residual stands above the noise, and above what the other frames leave.

Where a signal decays or contrast arrives within a few frames, total variation over time keeps those frames near their
neighbours, and a robust loss takes what is then missed for outliers. Both give way, frame by frame, until the residual
has come down (Morozov's discrepancy principle). What all frames leave alike, as wrong coil maps do, eases nothing.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from dainr.kernels.constant import constant, sums_of_parts

MEMORY = 0.8  # of the squares from one step to the next
ABOVE = 1.3  # the noise, or the median frame where that is more: a residual within that is left alone
RATE, FORGETTING = 0.2, 0.95  # what a step takes of the excess, and how much of what it took stays
LEAST = 0.05  # share of the weights that is always kept


class Easing:
    """Residuals of the frames in units of their noise, and the share of the temporal priors' weight they keep.

    Both change in place: a step that is recorded once is to find them where they were.
    """

    def __init__(self, squares: Float[Tensor, " frame"], share: Float[Tensor, " frame"]) -> None:
        self.squares, self.share = squares, share

    @classmethod
    def none(cls, n_frames: int, device: torch.device) -> "Easing":
        """Nothing seen and nothing eased so far."""
        return cls(torch.ones(n_frames, device=device), torch.ones(n_frames, device=device))

    def excess(self) -> Float[Tensor, " frame"]:
        """How many times a frame's residual is what is left alone; at least one."""
        residual = self.squares.sqrt()
        return (residual / (ABOVE * residual.median().clamp(min=1))).clamp(min=1)

    def ease(self, number: Int[Tensor, " part"]) -> None:
        """A step of these frames: those with an excess keep less of the weight, the others get theirs back."""
        eased = (self.share**FORGETTING * self.excess() ** -RATE).clamp(min=LEAST)
        self.share.index_copy_(0, number, eased[number])

    def see(
        self,
        squares: Float[Tensor, " point"],
        number: Int[Tensor, " part"],
        counts: Sequence[int],
    ) -> None:
        """Take in |A x - y|^2 / sigma^2, a mean over the coils, of the points of some frames or subframes."""
        size = constant(tuple(counts), squares.dtype, squares.device)
        frames = torch.arange(len(self.squares), device=squares.device)
        of_frame = (number == frames[:, None]).to(squares.dtype)  # a product with it, for additions have an order
        total, points = of_frame @ sums_of_parts(squares, counts), of_frame @ size
        mean = MEMORY * self.squares + (1 - MEMORY) * total / points.clamp(min=1)
        self.squares.copy_(torch.where(points > 0, mean, self.squares))

    def of_steps(self, frames: slice, cyclic: bool) -> Float[Tensor, " step"]:
        """The share of the weight of each step to the next frame: that of the frame that is eased more."""
        share = self.share[frames]
        after = share.roll(-1)
        if not cyclic:
            after[-1] = share[-1]
        return torch.minimum(share, after)
