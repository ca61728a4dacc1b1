"""One slice of a scan, prepared for a fit, and the settings of that."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from dainr.errors import BadRequest
from dainr.settings.bounds import check_bounds, within


@dataclass(frozen=True)
class PrepareConfig:
    """How a scan is prepared."""

    coil_maps: Literal["auto", "file", "estimate"] = "auto"  # auto: the file's, or estimated where it has none
    virtual_coils: int = within(0, 0, 1024)  # 0: as few as coil_loss allows
    # share of the signal that the coils left out may hold; 0 keeps all coils as they are
    coil_loss: float = within(1e-3, 0, 1)
    holdout: float = within(0.03, 0, 0.5)  # share of the readouts that only validate
    delays: Literal["auto", "no", "estimate"] = "auto"  # and phases of spokes; auto: where they are clearly there
    outside: Literal["auto", "keep"] = "auto"  # signal of spokes from outside; auto: taken out where clearly there

    def __post_init__(self) -> None:
        check_bounds(self)
        if self.coil_loss == 1:
            raise BadRequest("coil_loss=1", "no coil would be left", "choose less")


@dataclass(frozen=True, eq=False)
class Prepared:
    """One slice, ready to fit. Readouts are in frame order; k-space is white and divided by `scale`."""

    kspace: Complex[np.ndarray, "coil readout sample"]
    trajectory: Float[np.ndarray, "readout sample 2"]
    density: Float[np.ndarray, "readout sample"]
    frame: Integer[np.ndarray, " readout"]
    frame_times: Float[np.ndarray, " frame"]  # s
    frame_position: Float[np.ndarray, " readout"] | None  # when each readout was measured, in frames; None: not known
    held_out: Bool[np.ndarray, " readout"]
    coil_maps: Complex[np.ndarray, "coil y x"]
    matrix: tuple[int, int]
    cartesian: bool
    cyclic: bool | None  # as the scan knows it
    scale: float  # image units of the scan per unit of the fit
    noise_std: float  # root mean square of the complex noise of one sample, in the fit's units
    record: dict[str, Any]
