"""Scan: what goes into a reconstruction, as frozen data with named axes.

Axes, slowest first: images are `slice, frame, y, x`, k-space is `slice, coil, readout, sample`. Trajectories are
(ky, kx) in cycles per pixel of the reconstruction matrix. The centre of an image is index `n // 2`.
Nothing here reads or writes files.
"""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.machine import disk

__all__ = ["Cine", "Scan"]  # Cine had its place here before it had its own

K_MAX = 0.5  # cycles per pixel: the edge of the k-space a matrix can hold
K_TOLERANCE = 1e-4
LOW_REACH = 0.2  # cycles per pixel: samples that end before it leave pixels far finer than what was measured
LARGEST_MATRIX = 4096  # pixels a side
SET_ASIDE = -1  # the frame of a readout that is not used
GRID_TOLERANCE = 1e-3  # in units of one k-space sample
# with the slice as first axis
OF_A_SLICE = (
    *("kspace", "trajectory", "times", "frame", "phase", "copy_of", "density", "coil_maps", "reference"),
    *("calibration", "calibration_trajectory"),
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
    affine: Float[np.ndarray, "4 4"] | None = None  # (x, y, slice) index -> RAS mm
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
        _check_shapes(self)
        if derived_from is None:
            _check_finite(self)
        if derived_from is None or self.kspace is not derived_from.kspace:
            _check_signal(self)
        if derived_from is None or self.trajectory is not derived_from.trajectory:
            _check_reach(self)
        _check_phase(self)
        _check_density(self)
        _check_affine(self)
        if self.frame is not None:
            _check_frames(self)
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
        return self.changed(affine=affine, **parts)


def usable_noise(noise: Complex[np.ndarray, "coil noise_sample"]) -> bool:
    """Whether a noise measurement has samples enough for a covariance, and is not silent."""
    return noise.shape[1] >= 2 * len(noise) and bool(np.abs(noise).max() > 0)


def on_grid(trajectory: Float[np.ndarray, "readout sample 2"], matrix: tuple[int, int]) -> bool:
    """Whether every sample lies on the grid of the matrix."""
    position = trajectory * np.asarray(matrix, np.float32)
    return bool(np.abs(position - np.rint(position)).max() < GRID_TOLERANCE)


def _check_shapes(scan: Scan) -> None:
    if scan.kspace.ndim != 4 or 0 in scan.kspace.shape:
        raise BadScan(
            scan.name,
            f"kspace has shape {scan.kspace.shape}",
            "store it as slice, coil, readout, sample with at least one of each",
        )
    n_slices, n_coils, n_readouts, n_samples = scan.kspace.shape
    wanted = {
        "trajectory": (n_slices, n_readouts, n_samples, 2),
        "times": (n_slices, n_readouts),
        "frame": (n_slices, n_readouts),
        "phase": (n_slices, n_readouts),
        "copy_of": (n_slices, n_readouts),
        "density": (n_slices, n_readouts, n_samples),
        "coil_maps": (n_slices, n_coils, *scan.matrix),
        "affine": (4, 4),
    }
    for part, shape in wanted.items():
        array = getattr(scan, part)
        if array is not None and array.shape != shape:
            raise BadScan(
                scan.name,
                f"{part} has shape {array.shape} where kspace and matrix ask for {shape}",
                f"store {part} with that shape",
            )
    _check_calibration(scan)
    if scan.noise is not None and (scan.noise.ndim != 2 or scan.noise.shape[0] != n_coils):
        raise BadScan(
            scan.name, f"noise has shape {scan.noise.shape}", f"store it as coil ({n_coils}), sample or leave it out"
        )
    if not 4 <= min(scan.matrix) <= max(scan.matrix) <= LARGEST_MATRIX or not all(
        length > 0 for length in (*scan.fov_mm, scan.slice_thickness_mm)
    ):
        raise BadScan(
            scan.name,
            f"matrix {scan.matrix}, field of view {scan.fov_mm} mm and slice thickness {scan.slice_thickness_mm} mm"
            " do not describe an image",
            f"store 4 to {LARGEST_MATRIX} pixels a side and positive lengths",
        )


def _check_affine(scan: Scan) -> None:
    if scan.affine is not None and not np.linalg.norm(scan.affine[:3, :3], axis=0).all():
        raise BadScan(scan.name, "its affine has an axis without length", "repair the affine or leave it out")


def _check_calibration(scan: Scan) -> None:
    """Raises BadScan where calibration readouts do not fit the scan or each other, or lie beyond its k-space."""
    kspace, places = scan.calibration, scan.calibration_trajectory
    if kspace is None and places is None:
        return
    fits = (
        kspace is not None
        and places is not None
        and kspace.ndim == 4
        and 0 not in kspace.shape
        and kspace.shape[:2] == scan.kspace.shape[:2]
        and places.shape == (kspace.shape[0], *kspace.shape[2:], 2)
    )
    if not fits:
        shapes = [None if array is None else array.shape for array in (kspace, places)]
        raise BadScan(
            scan.name,
            f"calibration and calibration_trajectory have shapes {shapes[0]} and {shapes[1]}",
            "store slice, coil, readout, sample and slice, readout, sample, 2, or neither",
        )
    assert places is not None
    if np.abs(places).max() > K_MAX + K_TOLERANCE:
        raise BadScan(scan.name, f"the calibration_trajectory reaches beyond {K_MAX}", "store cycles per pixel")


def _check_finite(scan: Scan) -> None:
    for part in fields(scan):
        array = getattr(scan, part.name)
        if part.name == "reference" or not isinstance(array, np.ndarray) or array.dtype.kind not in "fc":
            continue
        where = _first_not_finite(array)
        if where is not None:
            raise BadScan(
                scan.name, f"{part.name} holds NaN or Inf, first at index {where}", "repair or remove that readout"
            )


def _first_not_finite(array: np.ndarray) -> tuple[int, ...] | None:
    parts = array if array.ndim > 2 else array[None]  # slice by slice: they may be more than memory holds at once
    for index, part in enumerate(parts):
        finite = np.isfinite(part)
        disk.release(part)
        if not finite.all():
            where = tuple(int(i) for i in np.argwhere(~finite)[0])
            return (index, *where) if parts is array else where
    return None


def _check_signal(scan: Scan) -> None:
    if not any(part.any() for part in scan.kspace):
        raise BadScan(scan.name, "kspace is zero everywhere", "check that the export wrote the samples")


def _check_reach(scan: Scan) -> None:
    largest = max(float(max(k.max(), -k.min())) for k in scan.trajectory)
    if largest > K_MAX + K_TOLERANCE:
        raise BadScan(
            scan.name,
            f"the trajectory reaches {largest:.4g} cycles per pixel, beyond {K_MAX}",
            "divide it by the matrix size if it is in units of 1/FOV, by 2 pi if in radians, or enlarge the matrix",
        )


def _check_phase(scan: Scan) -> None:
    if scan.phase is not None and not (scan.phase.min() >= 0 and scan.phase.max() < 1):
        raise BadScan(scan.name, "cardiac phases lie outside [0, 1)", "store the fraction of the cycle")


def _check_density(scan: Scan) -> None:
    if scan.density is not None and not (scan.density.min() >= 0 and scan.density.max((1, 2)).min() > 0):
        raise BadScan(
            scan.name, "its density weights are negative, or all zero in a slice", "repair them or leave them out"
        )


def _check_frames(scan: Scan) -> None:
    assert scan.frame is not None
    if scan.frame.min() < SET_ASIDE:
        raise BadScan(scan.name, f"a frame index is {scan.frame.min()}", f"number from 0, {SET_ASIDE} for none")
    if int(scan.frame.max()) >= scan.n_readouts:
        raise BadScan(
            scan.name,
            f"frame index {int(scan.frame.max())} with only {scan.n_readouts} readouts leaves frames empty",
            "number the frames from 0 without gaps",
        )
    if not scan.n_frames:
        raise BadScan(scan.name, "no readout is in a frame", "number the frames from 0")
    empty = np.argwhere(scan.readouts_per_frame == 0)
    if len(empty):
        where = f" of slice {empty[0, 0]}" if scan.n_slices > 1 else ""
        raise BadScan(
            scan.name,
            f"frame {empty[0, 1]}{where} has no readout ({len(empty)} empty frames)",
            "use fewer frames or more readouts a frame",
        )
