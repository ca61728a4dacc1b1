"""What a stage of the check is: its cases, how one is measured, and how the results are shown and judged.

A case is measured in a process of its own and gives one JSON object, so nothing here holds tensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import table, write_phantom
from dainr.io import load
from dainr.prepare.frames import frames_as_stored
from dainr.scan import Scan
from dainr.simulate import SimulationConfig

Result = dict[str, Any]
Results = Mapping[str, Result]  # of a stage, by case

PATTERNS = {"phantom": {"pattern": "radial", "spokes": 13}, "cartesian": {"pattern": "vista", "acceleration": 6}}
FILES = ("sax13", "cutkt8")  # shared scans, each with its reference beside it


@dataclass(frozen=True)
class Scope:
    """What is checked: the device, at which sizes, with the scans of which folder; traces go into `out`."""

    device: str
    small: bool
    out: Path
    data: Path | None = None

    @property
    def on_cuda(self) -> bool:
        """Whether it is a GPU, and no rehearsal."""
        return self.device.startswith("cuda")

    @property
    def scans(self) -> list[str]:
        """Names of the scans there are: two phantoms and the shared ones."""
        if self.small or self.data is None:
            return [*PATTERNS]
        return [*PATTERNS, *(name for name in FILES if (self.data / f"{name}.h5").is_file())]

    def phantom(self, name: str = "phantom", **sizes: int) -> SimulationConfig:
        """A phantom of the usual sizes, or others."""
        usual = {"matrix": 32, "frames": 6, "coils": 4} if self.small else {"matrix": 128, "frames": 25, "coils": 8}
        return SimulationConfig(**PATTERNS[name] | usual | sizes)  # type: ignore[arg-type]

    def files(self, name: str, work: Path) -> tuple[Path, Path]:
        """A scan and its reference as files; those of a phantom are written into the folder `work`."""
        if name in FILES:
            assert self.data is not None
            return self.data / f"{name}.h5", self.data / f"{name}_reference.npy"
        scan, reference = write_phantom(work, name, self.phantom(name)), work / f"{name}_reference.npy"
        np.save(reference, _reference(load(scan)))
        return scan, reference

    def scan(self, name: str, work: Path) -> Scan:
        """The first slice of a scan, its frames as they are stored."""
        return frames_as_stored(load(self.files(name, work)[0])).select_slices([0])


@dataclass(frozen=True)
class Stage:
    """One stage; `limit_s` is the longest a case may take, `usual_s` what it takes on a GPU, about.

    A case that does not apply gives {"left_out": why}. `faults` says in sentences what is wrong in the results.
    """

    name: str
    title: str
    about: str
    cases: Callable[[Scope], list[str]]
    measure: Callable[[str, Scope], Result]
    show: Callable[[Results], str]
    faults: Callable[[Results], list[str]] = lambda results: []
    usual_s: float = 20.0
    limit_s: float = 120.0


def show_columns(results: Results, columns: Mapping[str, str], first: str = "case") -> str:
    """A table with a row for each case, of the figures that `columns` names: key of a result -> heading."""
    rows = [[case, *(figure(result.get(key)) for key in columns)] for case, result in results.items()]
    return table((first, *columns.values()), rows)


def figure(value: Any) -> str:
    """A value as it stands in a table: three or four significant digits, yes or no, nothing where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}" if abs(value) >= 1 else f"{value:.3g}"
    return str(value)


def _reference(scan: Scan) -> np.ndarray:
    assert scan.reference is not None
    return scan.reference
