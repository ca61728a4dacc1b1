"""Scan: what goes into a reconstruction, as frozen data with named axes.

Axes, slowest first: images are `slice, frame, y, x`, k-space is `slice, coil, readout, sample`. Trajectories are
(ky, kx) in cycles per pixel of the reconstruction matrix. The centre of an image is index `n // 2`.
Nothing here reads or writes files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from dainr.cine import Cine as Cine
from dainr.cine import stack_affine
from dainr.errors import BadScan
from dainr.machine import disk
from dainr.scan_checks import K_MAX as K_MAX
from dainr.scan_checks import K_TOLERANCE as K_TOLERANCE
from dainr.scan_checks import LARGEST_MATRIX as LARGEST_MATRIX
from dainr.scan_checks import SET_ASIDE, check

__all__ = [  # Cine had its place here before it had its own, and so had the limits
    "K_MAX",
    "K_TOLERANCE",
    "LARGEST_MATRIX",
    "LOW_REACH",
    "OF_A_SLICE",
    "SET_ASIDE",
    "Cine",
    "Scan",
    "on_grid",
    "usable_noise",
]

LOW_REACH = 0.2  # cycles per pixel: samples that end before it leave pixels far finer than what was measured
GRID_TOLERANCE = 1e-3  # in units of one k-space sample
# with the slice as first axis
OF_A_SLICE = (
    *("kspace", "trajectory", "times", "frame", "phase", "copy_of", "density", "coil_maps", "reference"),
    *("calibration", "calibration_trajectory", "planes"),
)


@dataclass(frozen=True, eq=False)
class Scan:
    """One dynamic acquisition: k-space samples, where and when each was measured, and the geometry of the image.

    Raises BadScan when the parts do not fit together, are not finite or leave the representable k-space. That reads
    all of them, once: scans made of this one come from `changed`.
    """

    kspace: Complex[np.ndarray, "slice coil readout sample"]
    trajectory: Float[np.ndarray, "slice readout sample 2"]
    times: Float[np.ndarray, "slice readout"]  # s
    matrix: tuple[int, int]  # ny, nx
    fov_mm: tuple[float, float]  # y, x
    slice_thickness_mm: float
    affine: Float[np.ndarray, "4 4"] | None = None  # (x, y, slice) index -> RAS mm, of slices that are one stack
    planes: Float[np.ndarray, "slice 4 4"] | None = None  # of others, (x, y, 0) -> RAS mm of each
    frame: Integer[np.ndarray, "slice readout"] | None = None  # SET_ASIDE: in none of them
    phase: Float[np.ndarray, "slice readout"] | None = None  # cardiac phase in [0, 1)
    copy_of: Integer[np.ndarray, "slice readout"] | None = None  # what each is a copy of, where frames share readouts
    density: Float[np.ndarray, "slice readout sample"] | None = None  # how much of k-space each sample stands for
    cyclic: bool | None = None  # whether the frames are one cycle, the last followed by the first; None: not known
    coil_maps: Complex[np.ndarray, "slice coil y x"] | None = None
    calibration: Complex[np.ndarray, "slice coil calibration_readout calibration_sample"] | None = None  # for coil maps
    calibration_trajectory: Float[np.ndarray, "slice calibration_readout calibration_sample 2"] | None = None
    noise: Complex[np.ndarray, "coil noise_sample"] | None = None
    reference: np.ndarray | None = None  # slice, frame, y, x; never read by a fit
    name: str = "scan"
    notes: tuple[str, ...] = ()  # what the reader had to decide
    assumed: tuple[str, ...] = ()  # which lengths and times nobody said, by the names in `cine.LEFT_OPEN`
    decided: Mapping[str, Any] = field(default_factory=dict)  # the same as fields, ready for JSON
    derived_from: InitVar["Scan | None"] = None  # the scan that has these values, or others they were computed from

    def __post_init__(self, derived_from: "Scan | None") -> None:
        check(self, derived_from)
        self.release()

    @property
    def n_slices(self) -> int:
        """Number of slices."""
        return self.kspace.shape[0]

    @property
    def n_coils(self) -> int:
        """Number of receive coils."""
        return self.kspace.shape[1]

    @property
    def n_readouts(self) -> int:
        """Number of readouts (spokes, lines) per slice."""
        return self.kspace.shape[2]

    @property
    def n_samples(self) -> int:
        """Number of samples per readout."""
        return self.kspace.shape[3]

    @property
    def n_frames(self) -> int:
        """Number of frames the readouts are binned into; 0 while they are not."""
        return 0 if self.frame is None else int(self.frame.max()) + 1

    @property
    def used(self) -> Bool[np.ndarray, "slice readout"]:
        """Which readouts are in a frame; all, while none is."""
        return np.ones(self.times.shape, bool) if self.frame is None else self.frame != SET_ASIDE

    @property
    def readouts_per_frame(self) -> Integer[np.ndarray, "slice frame"]:
        """How many readouts each frame of each slice holds."""
        counts = np.zeros((self.n_slices, self.n_frames), np.int64)
        if self.frame is not None:
            index, readout = np.nonzero(self.used)
            np.add.at(counts, (index, self.frame[index, readout]), 1)
        return counts

    @cached_property
    def is_cartesian(self) -> bool:
        """Whether every sample lies on the grid of the matrix, so that a plain FFT is exact."""
        return all(on_grid(trajectory, self.matrix) for trajectory in self.trajectory)

    @cached_property
    def reach(self) -> float:
        """How far the samples go from the k-space centre, cycles per pixel, along the axis where they go least far."""
        return float(min(np.abs(k).max(axis=(0, 1)).min() for k in self.trajectory))

    def release(self) -> None:
        """Take what lies on disk out of memory, until it is read again."""
        for array in (self.kspace, self.trajectory, self.density, self.coil_maps, self.calibration, self.reference):
            disk.release(array)

    def changed(self, **parts: Any) -> "Scan":
        """The scan with other parts, whose values are those of this scan or computed from them.

        Shapes, ranges and frames are checked as ever; that all values are finite is known and not looked at again.
        Raises BadScan.
        """
        return replace(self, derived_from=self, **parts)

    def select_slices(self, slices: Sequence[int]) -> "Scan":
        """The same scan with the given, evenly spaced slices. Raises BadScan if one does not exist."""
        for index in slices:
            if not 0 <= index < self.n_slices:
                raise BadScan(
                    self.name, f"there is no slice {index}, only 0 to {self.n_slices - 1}", "choose among those"
                )
        keep = list(slices)
        steps = {after - before for before, after in pairwise(keep)} or {1}
        if not keep or len(steps) > 1 or 0 in steps:
            raise BadScan(self.name, f"slices {keep} are no evenly spaced stack", "choose such ones, or one at a time")
        step = steps.pop()
        end = keep[-1] + step
        chosen = slice(keep[0], end if end >= 0 else None, step)
        affine = self.affine
        if affine is not None:
            affine = affine.copy()
            affine[:3, 3] += affine[:3, 2] * keep[0]
            affine[:3, 2] *= step
        arrays = {name: getattr(self, name) for name in OF_A_SLICE}
        parts: dict[str, Any] = {name: None if array is None else array[chosen] for name, array in arrays.items()}
        if parts["planes"] is not None and (stack := stack_affine(parts["planes"])) is not None:
            affine, parts["planes"] = stack, None
        return self.changed(affine=affine, **parts | self._frames_of(parts))

    def frames_kept(self, kept: Bool[np.ndarray, " frame"]) -> "Scan":
        """The scan with some of its frames, numbered anew; the readouts of others are set aside."""
        parts = {name: getattr(self, name) for name in ("frame", "reference")}
        return self.changed(**_renumbered(parts, kept))

    def _frames_of(self, parts: dict[str, Any]) -> dict[str, Any]:
        """Frame numbers and reference of chosen slices, without frames that none of them has."""
        if parts["frame"] is None:
            return {}
        kept = np.isin(np.arange(self.n_frames), parts["frame"])
        return {} if kept[: int(parts["frame"].max()) + 1].all() else _renumbered(parts, kept)


def _renumbered(parts: dict[str, Any], kept: Bool[np.ndarray, " frame"]) -> dict[str, Any]:
    """Frame numbers and reference with the frames that are kept, numbered anew."""
    number = np.where(kept, np.cumsum(kept) - 1, SET_ASIDE).astype(np.int32)
    frame, reference = parts["frame"], parts["reference"]
    if reference is not None and reference.ndim == 4 and reference.shape[1] == len(kept):
        reference = reference[:, kept]
    return {"frame": np.where(frame == SET_ASIDE, np.int32(SET_ASIDE), number[frame]), "reference": reference}


def usable_noise(noise: Complex[np.ndarray, "coil noise_sample"]) -> bool:
    """Whether a noise measurement has samples enough for a covariance, and is not silent."""
    return noise.shape[1] >= 2 * len(noise) and bool(np.abs(noise).max() > 0)


def on_grid(trajectory: Float[np.ndarray, "readout sample 2"], matrix: tuple[int, int]) -> bool:
    """Whether every sample lies on the grid of the matrix."""
    position = trajectory * np.asarray(matrix, np.float32)
    return bool(np.abs(position - np.rint(position)).max() < GRID_TOLERANCE)
