"""A sample: one prepared slice, as a file that a training reads whenever its turn comes."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dainr.errors import BadScan
from dainr.prepare import Prepared

ARRAYS = ("trajectory", "density", "frame", "frame_times", "held_out")
COMPLEX = ("kspace", "coil_maps")


@dataclass(frozen=True)
class Sample:
    """What the index knows of a prepared slice."""

    name: str  # of its scan, and which slice of several
    file: str  # in the work folder
    validates: bool
    matrix: tuple[int, int]
    frames: int
    coils: int
    virtual_coils: int
    readouts_per_frame: float
    sampling: str  # lines or spokes, spirals and points
    signal_to_noise: float  # the brightest pixels over the noise of one sample
    has_reference: bool


@dataclass(frozen=True, eq=False)
class Content:
    """What the file of a sample holds."""

    prepared: Prepared
    reference: Tensor | None  # frame, y, x; in the units of the fit
    cyclic: bool
    largest: float  # eigenvalue of A^H W A
    nufft: str
    facts: dict[str, Any] = field(default_factory=dict)  # whatever else was written with it


def write_sample(path: Path, content: Content, beside: dict[str, Any]) -> None:
    """Write the file of a sample, and some facts with it."""
    prepared = content.prepared
    tensors = {name: torch.from_numpy(np.ascontiguousarray(getattr(prepared, name))) for name in ARRAYS}
    parts = {name: torch.from_numpy(np.ascontiguousarray(getattr(prepared, name))) for name in COMPLEX}
    if content.reference is not None:
        parts["reference"] = content.reference.to(torch.complex64)
    tensors |= {name: torch.view_as_real(value).contiguous() for name, value in parts.items()}
    facts = beside | {
        "matrix": list(prepared.matrix),
        "cartesian": prepared.cartesian,
        "scale": prepared.scale,
        "noise_std": prepared.noise_std,
        "cyclic": content.cyclic,
        "largest": content.largest,
        "nufft": content.nufft,
    }
    save_file(tensors, path, {"facts": json.dumps(facts)})


def read_sample(path: Path) -> Content:
    """Read the file of a sample. Raises BadScan where it is damaged."""
    try:
        with safe_open(path, "pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            facts: dict[str, Any] = json.loads((file.metadata() or {})["facts"])
        complex_ones = {name: torch.view_as_complex(tensors[name]) for name in tensors if name not in ARRAYS}
        prepared = Prepared(
            **{name: tensors[name].numpy() for name in ARRAYS},
            **{name: complex_ones[name].numpy() for name in COMPLEX},
            frame_position=None,
            matrix=(facts["matrix"][0], facts["matrix"][1]),
            cartesian=facts["cartesian"],
            cyclic=facts["cyclic"],
            scale=facts["scale"],
            noise_std=facts["noise_std"],
            record={},
        )
    except (SafetensorError, OSError, ValueError, LookupError, RuntimeError) as error:
        raise BadScan(
            str(path), f"it is damaged ({str(error).splitlines()[0]})", "delete it: --resume prepares it again"
        ) from error
    return Content(prepared, complex_ones.get("reference"), facts["cyclic"], facts["largest"], facts["nufft"], facts)


def sample_of(stored: dict[str, Any]) -> Sample:
    """A sample from its fields, as JSON has them."""
    return Sample(**{**stored, "matrix": tuple(stored["matrix"])})
