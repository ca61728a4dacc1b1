"""What an unrolled network reads of a slice: b = A^H W y and G = A^H W A of the readouts it may see.

Readouts come in groups, and any choice of groups is a measurement of its own: networks that learn from measurements
alone see some readouts and are judged by others. W is the density of the samples over the largest eigenvalue of
A^H D A, so that a gradient step of one never overshoots; on the grid it is one.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Complex, Float, Integer
from torch import Tensor

from dainr.operators.acquisition import Acquisition
from dainr.operators.batch import FrameData
from dainr.operators.gram import WeightedGram, largest_eigenvalue
from dainr.operators.linear import LinearOperator


@dataclass(frozen=True, eq=False)
class Measured:
    """A measurement of a series, in images: b, G, and what the distance of a series from it takes."""

    rhs: Complex[Tensor, "frame y x"]  # b
    gram: LinearOperator  # G
    energy: Float[Tensor, ""]  # c = y^H W y
    weight: Float[Tensor, ""]  # sum of W over the samples of all coils: c of white noise of unit variance, expected
    share: Float[Tensor, " frame"]  # of a frame's weight that is measured here: b is so much weaker than a whole one
    cyclic: bool = False  # the last frame leads to the first

    @property
    def start(self) -> Complex[Tensor, "frame y x"]:
        """The gridded frames, as bright as if all readouts were here."""
        return self.rhs / self.share[:, None, None]

    def misfit(self, x: Complex[Tensor, "frame y x"]) -> Float[Tensor, ""]:
        """|A x - y|^2_W per pixel and frame: <x, G x> - 2 Re <x, b> + c, with no transform beside G."""
        gram, rhs = self.gram(x), self.rhs
        return ((x.conj() * (gram - 2 * rhs)).real.sum() + self.energy) / x.numel()

    def remeasured(self, x: Complex[Tensor, "frame y x"]) -> "Measured":
        """What the same readouts measure of a series x, without noise: b = G x."""
        rhs = self.gram(x)
        return replace(self, rhs=rhs, energy=(x.conj() * rhs).real.sum())

    def scaled(self, factor: Float[Tensor, ""] | float) -> "Measured":
        """The measurement of a series so many times as bright."""
        return replace(self, rhs=self.rhs * factor, energy=self.energy * factor**2)


class Measurements:
    """The readouts of a slice in groups, any of which can be chosen."""

    def __init__(
        self,
        data: FrameData,
        group: Integer[Tensor, " point"],
        noise_std: float,
        cyclic: bool = False,
        centre: bool = False,
        shared_pattern: bool = False,
        occurrence: Float[Tensor, "frame group"] | None = None,
    ) -> None:
        """`group`: that of each sample, numbered anew in every frame; with `centre`, group 0 is calibration.

        `occurrence`: in what share of frames places such as a group's are measured, where W does not make up for that;
        None: it does.
        """
        operator, device = data.operator, data.kspace.device
        assert isinstance(operator, Acquisition)
        counts = torch.tensor([b - a for a, b in zip(data.starts, data.starts[1:], strict=False)])
        self.operator, self.kspace = operator, data.kspace
        self.n_frames, self.n_groups = len(counts), int(group.max()) + 1
        self.noise_std, self.cyclic, self.centre, self.shared_pattern = noise_std, cyclic, centre, shared_pattern
        frame = torch.repeat_interleave(torch.arange(self.n_frames), counts)
        self._place = (frame * self.n_groups + group.cpu()).to(device)
        like = data.kspace.new_zeros(self.n_frames, *operator.maps.shape[1:])
        largest = largest_eigenvalue(WeightedGram(operator, data.density), like)
        self.weights = data.density / max(largest, torch.finfo().tiny)
        self.even = bool((data.density == data.density[0]).all())  # then what is missing is not what weakens b
        self._energy = self._table(self.weights * data.kspace.abs().square().sum(0))
        self._weight = self._table(self.weights) * len(data.kspace)
        self.occurrence = torch.ones(self.n_frames, self.n_groups) if occurrence is None else occurrence
        self._all: Measured | None = None

    @property
    def filled(self) -> Bool[Tensor, "frame group"]:
        """Which groups have readouts."""
        return self._weight > 0

    def of(self, chosen: Bool[Tensor, "frame group"] | Float[Tensor, "frame group"] | None = None) -> Measured:
        """The measurement by some groups, or by all; numbers say how much each group counts."""
        if chosen is None:
            self._all = self._all or self._measured(self.filled)
            return self._all
        return self._measured(chosen)

    def noise(
        self, generator: torch.Generator, chosen: Bool[Tensor, "frame group"] | None = None
    ) -> Complex[Tensor, "frame y x"]:
        """A^H W n of white complex noise n of unit variance."""
        drawn = torch.randn(self.kspace.shape, dtype=self.kspace.dtype, generator=generator)
        weights = self.weights if chosen is None else self._weights(chosen)
        return self.operator.adjoint(weights * drawn.to(self.kspace.device))

    def _measured(self, chosen: Tensor) -> Measured:
        chosen = chosen.to(self.kspace.device).expand(self.n_frames, self.n_groups)
        weights, measured = self._weights(chosen), self._weight * chosen
        share = measured.sum(1) / self._weight.sum(1)
        return Measured(
            rhs=self.operator.adjoint(weights * self.kspace),
            gram=WeightedGram(self.operator, weights),
            energy=(self._energy * chosen).sum(),
            weight=measured.sum(),
            share=torch.ones_like(share) if self.even else share.clamp(min=1e-3),
            cyclic=self.cyclic,
        )

    def _weights(self, chosen: Tensor) -> Float[Tensor, " point"]:
        return (
            self.weights * chosen.to(self.weights.device).expand(self.n_frames, self.n_groups).reshape(-1)[self._place]
        )

    def _table(self, of_points: Float[Tensor, " point"]) -> Float[Tensor, "frame group"]:
        sums = torch.zeros(self.n_frames * self.n_groups)  # on the CPU, which adds up in one order
        sums.index_add_(0, self._place.cpu(), of_points.cpu())
        return sums.reshape(self.n_frames, self.n_groups).to(of_points.device)
