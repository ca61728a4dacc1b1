"""Gridding: the density-compensated adjoint of every frame on its own. The baseline everything else is measured by."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Complex
from torch import Tensor

from dainr.fit.state import FitState, Observer
from dainr.methods.common import MethodConfig
from dainr.methods.slices import Slice, SliceMethod


@dataclass(frozen=True)
class GriddingConfig(MethodConfig):
    """Gridding has no settings of its own."""


class Gridding(SliceMethod):
    """A^H W y for each frame, all readouts used."""

    name = "gridding"
    Config = GriddingConfig
    cited_as = "The cine was reconstructed by density-compensated gridding and coil combination (dainr {version})."
    about = "density-compensated adjoint of each frame: fast, streaky, the baseline"

    def reconstruct(
        self, part: Slice, config: GriddingConfig, observers: Sequence[Observer]
    ) -> tuple[Complex[Tensor, "frame y x"], FitState]:
        """The gridded frames; there are no iterations to observe."""
        return part.gridded, FitState()
