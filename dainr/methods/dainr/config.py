"""Settings of the neural field in its two forms."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Literal

from dainr.errors import BadRequest
from dainr.fields.canonical import CanonicalConfig
from dainr.fields.deformation import DeformationConfig
from dainr.fields.warped import WarpedConfig
from dainr.fit.config import FitConfig
from dainr.methods.common import MethodConfig
from dainr.methods.dainr.objective import ObjectiveConfig
from dainr.settings.bounds import within

# settings that only one form of the field has
WARPED = ("cyclic", "start_steps", "coarse_steps", "warped", "objective", "error_map")
POINTWISE = ("grid", "deformation", "canonical")


@dataclass(frozen=True)
class DainrConfig(MethodConfig):
    """Settings of the fit and of the two forms of the field; those of the form not in use stay at their defaults."""

    RENAMED: ClassVar[dict[str, str]] = {
        "features": "encoder",
        "prior": "encoder",
        "mdsr_weights": "encoder_weights",
        "moments": "subframes",
    }

    field: Literal["warped", "pointwise"] = "warped"
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    # a frame's readouts are measured at; more than one: nearly each at its own time, at their cost
    subframes: int = within(1, 1, 1000)
    # a network of frames; warped: a prior from frames it restores; pointwise: a condition from its features
    encoder: Literal["none", "mdsr", "edsr", "rdn", "swinir"] = "mdsr"
    encoder_weights: str = "auto"  # a name that dainr weights lists, or a checkpoint's path; auto: those of the encoder
    # of the warped field
    cyclic: Literal["auto", "yes", "no"] = "auto"  # whether the last frame leads to the first; auto: binning or data
    start_steps: int = within(20, 0, 100_000)  # least-squares steps that bring the canonical image to the time average
    coarse_steps: int = within(80, 0, 100_000)  # steps at half the resolution before the fit proper
    warped: WarpedConfig = dataclasses.field(default_factory=WarpedConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    error_map: bool = False  # the error expected of every pixel and frame, by a few short refits of each slice
    # of the pointwise field
    grid: Literal["auto", "native", "tinycudann"] = "auto"
    deformation: DeformationConfig = dataclasses.field(default_factory=DeformationConfig)
    canonical: CanonicalConfig = dataclasses.field(default_factory=CanonicalConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        foreign = POINTWISE if self.field == "warped" else WARPED
        defaults = {f.name: f for f in dataclasses.fields(self)}
        for name in foreign:
            f = defaults[name]
            default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
            if getattr(self, name) not in (default, "native"):
                raise BadRequest(
                    f"setting {name}",
                    f"the {self.field} field has no such part",
                    f"leave it out, or set field={'pointwise' if self.field == 'warped' else 'warped'}",
                )
