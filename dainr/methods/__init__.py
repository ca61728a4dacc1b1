"""Reconstruction methods: same call, same result type.

Adding a method is one module with a class that fulfils `Method`, and one entry in `METHODS`.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from dainr.errors import BadRequest
from dainr.fields.field import DynamicField
from dainr.fit.state import Checkpoint, Observer, RunState
from dainr.methods.recon import Recon
from dainr.methods.slices import BesideRun, MadeSlice
from dainr.scan import Scan
from dainr.settings.build import build_config
from dainr.settings.presets import choose_preset, read_preset

METHODS = {
    "dainr": ("dainr.methods.dainr.method", "Dainr"),
    "grasp": ("dainr.methods.classical.grasp", "Grasp"),
    "l+s": ("dainr.methods.classical.l_plus_s", "LPlusS"),
    "cg-sense": ("dainr.methods.classical.cg_sense", "CgSense"),
    "crunet": ("dainr.methods.unrolled.networks", "CRUNet"),
    "crnn": ("dainr.methods.unrolled.networks", "CRNN"),
    "cinenet": ("dainr.methods.unrolled.networks", "CineNet"),
    "unet3d": ("dainr.methods.unrolled.networks", "UNet3D"),
    "promptmr": ("dainr.methods.unrolled.networks", "PromptMR"),
    "dun-sre": ("dainr.methods.unrolled.networks", "DunSre"),
    "gridding": ("dainr.methods.classical.gridding", "Gridding"),
}


class Method(Protocol):
    """A way from a scan to a reconstruction. `Config` is a dataclass; every setting of it has a default."""

    Config: type[Any]
    about: str
    presets: tuple[str, ...]  # names of shipped settings, the one to start from first; none: the dataclass's defaults

    def citation(self, settings: Mapping[str, Any]) -> str:
        """How the images were made, for a methods section, by the settings of the run; "{version}" is the program's."""
        ...

    def resolve(self, scan: Scan, config: Any) -> tuple[Any, dict[str, Any]]:
        """The config with every "auto" replaced by what it stands for here, and what was measured to choose."""
        ...

    def __call__(
        self,
        scan: Scan,
        config: Any,
        observers: Sequence[Observer] = (),
        resume: RunState | None = None,
        beside: BesideRun = BesideRun(),
    ) -> Recon:
        """Reconstruct a scan whose readouts are binned and in frame order."""
        ...

    def make(
        self,
        scan: Scan,
        index: int,
        config: Any,
        observers: Sequence[Observer] = (),
        begun: Checkpoint | None = None,
        place: tuple[int, int] | None = None,
    ) -> MadeSlice:
        """Reconstruct one slice of such a scan; `place`: what it is called, and of how many it is one."""
        ...

    def restore(
        self, config: Any, matrix: tuple[int, int], finished: Mapping[int, Checkpoint], features: Mapping[str, Tensor]
    ) -> tuple[DynamicField, ...]:
        """The fields of a finished run, one per slice, on the CPU; none where the method fits none."""
        ...


def configure(method: str, preset: str | None, pairs: Sequence[str] = ()) -> tuple[str, Any]:
    """The preset in use, and the config of a method: its defaults, changed by the preset and by "key=value" strings.

    Raises BadRequest for an unknown method, preset or setting.
    """
    kind = get_method(method)
    in_use = choose_preset(method, kind.presets, preset)
    if any(pair.partition("=")[0].strip() == "error_map" for pair in pairs) and not hasattr(kind.Config, "error_map"):
        raise BadRequest(
            "--error-map", f"method {method} gives no error map", "leave it out, or fit with --method dainr"
        )
    return in_use, build_config(kind.Config, read_preset(in_use, method), pairs)


def get_method(name: str) -> Method:
    """The method of that name. Raises BadRequest when there is none."""
    if name not in METHODS:
        raise BadRequest(f"--method {name}", "there is no such method", f"choose {' or '.join(METHODS)}")
    module, kind = METHODS[name]
    return getattr(importlib.import_module(module), kind)()
