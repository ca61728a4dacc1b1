"""What makes a scan sound: its parts fit together, are finite, and lie in the k-space that its matrix can hold."""

from dataclasses import fields
from typing import Any

import numpy as np

from dainr.errors import BadScan
from dainr.machine import disk

K_MAX = 0.5  # cycles per pixel: the edge of the k-space a matrix can hold
K_TOLERANCE = 1e-4
LARGEST_MATRIX = 4096  # pixels a side
SET_ASIDE = -1  # the frame of a readout that is not used


def check(scan: Any, derived_from: Any) -> None:
    """Raises BadScan where a `Scan` is none; what it shares with the scan it is derived from is known to be sound."""
    _check_shapes(scan)
    if derived_from is None:
        _check_finite(scan)
    if derived_from is None or scan.kspace is not derived_from.kspace:
        _check_signal(scan)
    if derived_from is None or scan.trajectory is not derived_from.trajectory:
        _check_reach(scan)
    _check_phase(scan)
    _check_density(scan)
    _check_affine(scan)
    if scan.frame is not None:
        _check_frames(scan)


def _check_shapes(scan: Any) -> None:
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
        "planes": (n_slices, 4, 4),
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


def _check_affine(scan: Any) -> None:
    for affines in (scan.affine, scan.planes):
        if affines is not None and not np.linalg.norm(affines[..., :3, :3], axis=-2).all():
            raise BadScan(scan.name, "its affine has an axis without length", "repair the affine or leave it out")
    if scan.affine is not None and scan.planes is not None:
        raise BadScan(scan.name, "it has an affine of all slices and one of each", "keep one of them")


def _check_calibration(scan: Any) -> None:
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


def _check_finite(scan: Any) -> None:
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


def _check_signal(scan: Any) -> None:
    if not any(part.any() for part in scan.kspace):
        raise BadScan(scan.name, "kspace is zero everywhere", "check that the export wrote the samples")


def _check_reach(scan: Any) -> None:
    largest = max(float(max(k.max(), -k.min())) for k in scan.trajectory)
    if largest > K_MAX + K_TOLERANCE:
        raise BadScan(
            scan.name,
            f"the trajectory reaches {largest:.4g} cycles per pixel, beyond {K_MAX}",
            "divide it by the matrix size if it is in units of 1/FOV, by 2 pi if in radians, or enlarge the matrix",
        )


def _check_phase(scan: Any) -> None:
    if scan.phase is not None and not (scan.phase.min() >= 0 and scan.phase.max() < 1):
        raise BadScan(scan.name, "cardiac phases lie outside [0, 1)", "store the fraction of the cycle")


def _check_density(scan: Any) -> None:
    if scan.density is not None and not (scan.density.min() >= 0 and scan.density.max((1, 2)).min() > 0):
        raise BadScan(
            scan.name, "its density weights are negative, or all zero in a slice", "repair them or leave them out"
        )


def _check_frames(scan: Any) -> None:
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
    empty = np.flatnonzero(scan.readouts_per_frame.sum(0) == 0)
    if len(empty):
        raise no_readout(scan.name, int(empty[0]), None, len(empty))


def no_readout(name: str, frame: int, index: int | None, count: int) -> BadScan:
    """What to raise for so many empty frames, the first of which is this one, of a slice or of all."""
    where = "" if index is None else f" of slice {index}"
    return BadScan(
        name, f"frame {frame}{where} has no readout ({count} empty frames)", "use fewer frames or more readouts a frame"
    )
