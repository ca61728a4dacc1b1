"""Another reconstruction matrix for the same field of view: k per pixel scales, and what leaves the matrix goes."""

import numpy as np

from dainr.errors import BadRequest
from dainr.machine import disk
from dainr.scan import K_MAX, K_TOLERANCE, LARGEST_MATRIX, SET_ASIDE, Scan


def resize_matrix(scan: Scan, matrix: tuple[int, int]) -> Scan:
    """The scan to be reconstructed on `matrix` (ny, nx); stored coil maps no longer fit and are estimated anew.

    Raises BadRequest when the matrix is too small to keep any frame's samples.
    """
    if matrix == scan.matrix:
        return scan
    if min(matrix) < 4 or max(matrix) > LARGEST_MATRIX:
        raise BadRequest(
            f"--matrix {matrix[0]}x{matrix[1]}",
            "that is not an image size",
            f"choose 4 to {LARGEST_MATRIX} pixels on each side",
        )
    trajectory = scan.trajectory * (np.array(scan.matrix) / np.array(matrix)).astype(np.float32)
    inside = (trajectory >= -K_MAX - K_TOLERANCE) & (trajectory < K_MAX - K_TOLERANCE)
    inside = inside.all(-1)  # slice, readout, sample
    kept = inside.any(2) & scan.used  # Cartesian lines beyond the matrix go whole
    columns = inside[kept].all(0) if kept.any() else np.zeros(scan.n_samples, bool)
    if not columns.any():
        raise BadRequest(
            f"--matrix {matrix[0]}x{matrix[1]}", "no samples lie within its resolution", "choose a larger one"
        )
    trajectory[~kept] = 0  # of those set aside it must not leave k-space
    count = kept.sum(1).min() if scan.frame is None else kept.sum(1).max()
    order, slices = np.argsort(~kept, axis=1, kind="stable")[:, :count], np.arange(scan.n_slices)[:, None]
    note = f"matrix {matrix[0]} x {matrix[1]}: {columns.sum()} of {scan.n_samples} samples, {count} readouts kept"
    resized = scan.changed(
        kspace=disk.stack(scan.n_slices, lambda s: scan.kspace[s][:, order[s]][..., columns]),
        trajectory=disk.stack(scan.n_slices, lambda s: trajectory[s][order[s]][:, columns]),
        times=scan.times[slices, order],
        frame=None if scan.frame is None else np.where(kept, scan.frame, np.int32(SET_ASIDE))[slices, order],
        phase=None if scan.phase is None else scan.phase[slices, order],
        copy_of=None if scan.copy_of is None else scan.copy_of[slices, order],
        density=None
        if (density := scan.density) is None
        else disk.stack(scan.n_slices, lambda s: density[s][order[s]][:, columns]),
        coil_maps=None,
        **_calibration(scan, matrix),
        matrix=matrix,
        affine=None if scan.affine is None else _resampled(scan.affine, scan.matrix, matrix),
        planes=None if scan.planes is None else _resampled(scan.planes, scan.matrix, matrix),
        notes=(*scan.notes, note),
    )
    scan.release()
    return resized


def _calibration(scan: Scan, matrix: tuple[int, int]) -> dict[str, np.ndarray | None]:
    """Calibration readouts on the new matrix: samples and readouts that lie within its resolution in all slices."""
    kspace, places = scan.calibration, scan.calibration_trajectory
    if kspace is None or places is None:
        return {}
    places = places * (np.array(scan.matrix) / np.array(matrix)).astype(np.float32)
    inside = ((places >= -K_MAX - K_TOLERANCE) & (places < K_MAX - K_TOLERANCE)).all((0, 3))  # readout, sample
    rows = inside.any(1)
    columns = inside[rows].all(0)
    if not columns.any():
        return {"calibration": None, "calibration_trajectory": None}
    return {
        "calibration": kspace[:, :, rows][..., columns],
        "calibration_trajectory": places[:, rows][:, :, columns],
    }


def _resampled(old: np.ndarray, old_matrix: tuple[int, int], matrix: tuple[int, int]) -> np.ndarray:
    """The affine of the new matrix, or those of slices: both centres, index n // 2, are the same point."""
    new = old.copy()
    for axis, (n_old, n_new) in enumerate(zip(old_matrix[::-1], matrix[::-1], strict=True)):
        new[..., :3, axis] *= n_old / n_new
    old_centre = np.array([old_matrix[1] // 2, old_matrix[0] // 2, 0.0])
    new_centre = np.array([matrix[1] // 2, matrix[0] // 2, 0.0])
    new[..., :3, 3] += old[..., :3, :3] @ old_centre - new[..., :3, :3] @ new_centre
    return new
