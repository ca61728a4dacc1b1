"""What an unrolled network reads of a slice: b = A^H W y and G = A^H W A of the readouts it may see.

Readouts come in groups, and any choice of groups is a measurement of its own: networks that learn from measurements
alone see some readouts and are judged by others. W is one over how crowded the samples are, by a factor with which no
gradient step of one overshoots; on the grid it is one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import pairwise

import torch
from jaxtyping import Bool, Complex, Float, Integer
from torch import Tensor

from dainr.operators.acquisition import Acquisition
from dainr.operators.batch import FrameData
from dainr.operators.gram import WeightedGram, largest_eigenvalue
from dainr.operators.linear import LinearOperator
from dainr.operators.on_grid import OnGrid

STEPS_TO_AVERAGE, RIDGE = 5, 1e-3  # RIDGE: of the largest eigenvalue of G


@dataclass(frozen=True, eq=False)
class Measured:
    """A measurement of a series, in images: b, G, and what the distance of a series from it takes."""

    rhs: Complex[Tensor, "frame y x"]  # b: the gridded frames
    gram: LinearOperator  # G
    energy: Float[Tensor, ""]  # c = y^H W y
    weight: Float[Tensor, ""]  # sum of W over the samples of all coils: c of white noise of unit variance, expected
    cyclic: bool = False  # the last frame leads to the first
    on_grid: Callable[[], OnGrid] | None = None  # the samples themselves, made when asked for; None: off the grid

    @cached_property
    def average(self) -> Complex[Tensor, "y x"]:
        """The time average: the still image that is nearest to the readouts of all frames; no gradient goes back."""
        with torch.no_grad():
            return still_image(self.gram, self.rhs)

    def misfit(self, x: Complex[Tensor, "frame y x"]) -> Float[Tensor, ""]:
        """|A x - y|^2_W per pixel and frame: <x, G x> - 2 Re <x, b> + c, with no transform beside G."""
        gram, rhs = self.gram(x), self.rhs
        return ((x.conj() * (gram - 2 * rhs)).real.sum() + self.energy) / x.numel()

    def remeasured(self, x: Complex[Tensor, "frame y x"]) -> "Measured":
        """What the same readouts measure of a series x, without noise: b = G x."""
        rhs, known = self.gram(x), self.on_grid
        on_grid = None if known is None else lambda: known().remeasured(x)
        return replace(self, rhs=rhs, energy=(x.conj() * rhs).real.sum(), on_grid=on_grid)

    def scaled(self, factor: Float[Tensor, ""] | float) -> "Measured":
        """The measurement of a series so many times as bright."""
        known = self.on_grid
        on_grid = None if known is None else lambda: known().scaled(factor)
        return replace(self, rhs=self.rhs * factor, energy=self.energy * factor**2, on_grid=on_grid)


def still_image(gram: LinearOperator, rhs: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "y x"]:
    """The a with sum_t (G_t a - b_t) = 0, by a few conjugate gradients, which leave out what hardly was measured."""
    n_frames = len(rhs)
    image, residual = torch.zeros_like(rhs[0]), rhs.mean(0)
    direction, squared = residual, residual.abs().square().sum()
    for _ in range(STEPS_TO_AVERAGE):
        moved = gram(direction.expand(n_frames, -1, -1).contiguous()).mean(0) + RIDGE * direction
        step = squared / (direction.conj() * moved).real.sum().clamp(min=torch.finfo().tiny)
        image, residual = image + step * direction, residual - step * moved
        last, squared = squared, residual.abs().square().sum()
        direction = residual + squared / last.clamp(min=torch.finfo().tiny) * direction
    return image


class Measurements:
    """The readouts of a slice in groups, any of which can be chosen."""

    def __init__(
        self,
        data: FrameData,
        group: Integer[Tensor, " point"],
        crowding: Callable[[Tensor], Tensor],
        noise_std: float,
        cyclic: bool = False,
        centre: bool = False,
        shared_pattern: bool = False,
        occurrence: Float[Tensor, "frame group"] | None = None,
        largest: float | None = None,
        cells: Integer[Tensor, " point"] | None = None,
    ) -> None:
        """`group`: that of each sample, numbered anew in every frame; with `centre`, group 0 is calibration.

        `crowding`: how many samples there are around each, of those that are counted (operators/crowding.py).
        `occurrence`: in what share of frames places such as a group's are measured, where W does not make up for that;
        None: it does. `largest`: eigenvalue of A^H W A before W is scaled, where it is known. `cells`: ky nx + kx of
        each sample, not negative, where all lie on the grid.
        """
        operator, device = data.operator, data.kspace.device
        assert isinstance(operator, Acquisition)
        counts = torch.tensor([b - a for a, b in pairwise(data.starts)])
        self.operator, self.kspace, self.crowding = operator, data.kspace, crowding
        self.n_frames, self.n_groups = len(counts), int(group.max()) + 1
        self.noise_std, self.cyclic, self.centre, self.shared_pattern = noise_std, cyclic, centre, shared_pattern
        frame = torch.repeat_interleave(torch.arange(self.n_frames), counts)
        place = frame * self.n_groups + group.cpu()
        filled = torch.bincount(place, minlength=self.n_frames * self.n_groups) > 0
        self.filled = filled.reshape(self.n_frames, self.n_groups).to(device)  # which groups have readouts
        self.occurrence = torch.ones(self.n_frames, self.n_groups) if occurrence is None else occurrence
        self._place, self._energy, self._scale = place.to(device), data.kspace.abs().square().sum(0), 1.0
        self._cells = None if cells is None else (frame * math.prod(operator.maps.shape[1:]) + cells.cpu()).to(device)
        self.weights = self._own_area(torch.ones_like(self._energy))
        if largest is None:
            like = data.kspace.new_zeros(self.n_frames, *operator.maps.shape[1:])
            largest = largest_eigenvalue(WeightedGram(operator, self.weights), like)
        self.largest, self._scale = largest, 1 / max(largest, 1.0)
        self.weights = self._scale * self.weights
        self._all: Measured | None = None

    def of(self, chosen: Bool[Tensor, "frame group"] | Float[Tensor, "frame group"] | None = None) -> Measured:
        """The measurement by some groups, each of whose samples has more of k-space to itself, or by all.

        Numbers say how much each group counts of what it does among all, so that sums of such measurements are exact.
        """
        if chosen is None:
            self._all = self._all or self._measured(self.weights, self.kspace)
            return self._all
        return self._measured(self._weights(chosen), self.kspace)

    def of_samples(self, kspace: Complex[Tensor, "coil point"]) -> Measured:
        """The measurement by all groups, had it given these samples."""
        return self._measured(self.weights, kspace)

    def noise(self, generator: torch.Generator) -> Complex[Tensor, "coil point"]:
        """Samples of white complex noise of unit variance."""
        drawn = torch.randn(self.kspace.shape, dtype=self.kspace.dtype, generator=generator)
        return drawn.to(self.kspace.device)

    def _measured(self, weights: Float[Tensor, " point"], kspace: Complex[Tensor, "coil point"]) -> Measured:
        energy = self._energy if kspace is self.kspace else kspace.abs().square().sum(0)
        return Measured(
            rhs=self.operator.adjoint(weights * kspace),
            gram=WeightedGram(self.operator, weights),
            energy=(weights * energy).sum(),
            weight=len(kspace) * weights.sum(),
            cyclic=self.cyclic,
            on_grid=None if self._cells is None else partial(self._on_grid, self._cells, weights, kspace),
        )

    def _on_grid(
        self, cells: Integer[Tensor, " point"], weights: Float[Tensor, " point"], kspace: Complex[Tensor, "coil point"]
    ) -> OnGrid:
        """Samples in the same cell are averaged by their weights."""
        maps = self.operator.maps
        shape = (self.n_frames, *maps.shape[1:])
        total = weights.new_zeros(math.prod(shape)).index_add(0, cells, weights)
        summed = kspace.new_zeros(len(kspace), len(total)).index_add(1, cells, weights * kspace)
        mean = summed / total.clamp(min=torch.finfo().tiny)
        return OnGrid(maps, total.view(shape), mean.view(-1, *shape).transpose(0, 1))

    def _weights(self, chosen: Tensor) -> Float[Tensor, " point"]:
        of_points = chosen.to(self.kspace.device).expand(self.n_frames, self.n_groups).reshape(-1)[self._place]
        return self._own_area(of_points.float()) if chosen.dtype == torch.bool else self.weights * of_points

    def _own_area(self, counted: Float[Tensor, " point"]) -> Float[Tensor, " point"]:
        return self._scale * counted / self.crowding(counted).clamp(min=torch.finfo().tiny)
