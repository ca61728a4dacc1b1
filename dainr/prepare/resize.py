"""Another reconstruction matrix for the same field of view: k per pixel scales, and what leaves the matrix goes."""

from dataclasses import replace

import numpy as np

from dainr import spool
from dainr.errors import BadRequest
from dainr.scan import K_MAX, K_TOLERANCE, LARGEST_MATRIX, Scan


def resize_matrix(scan: Scan, matrix: tuple[int, int]) -> Scan:
    """The scan to be reconstructed on `matrix` (ny, nx); stored coil maps no longer fit and are estimated anew.

    Raises BadRequest when the matrix is too small to keep any frame's samples.
    """
    if matrix == scan.matrix:
        return scan
    if min(matrix) < 4 or max(matrix) > LARGEST_MATRIX:
        raise BadRequest(
            f"--matrix {matrix[0]}x{matrix[1]}", "that is no image size", f"choose 4 to {LARGEST_MATRIX} pixels a side"
        )
    trajectory = scan.trajectory * (np.array(scan.matrix) / np.array(matrix)).astype(np.float32)
    inside = (trajectory >= -K_MAX - K_TOLERANCE) & (trajectory < K_MAX - K_TOLERANCE)
    inside = inside.all(-1)  # slice, readout, sample
    rows = inside.any(2).all(0)  # Cartesian lines beyond the matrix go whole
    columns = inside[:, rows].all((0, 1)) if rows.any() else np.zeros(scan.n_samples, bool)
    if not columns.any():
        raise BadRequest(
            f"--matrix {matrix[0]}x{matrix[1]}", "no samples lie within its resolution", "choose a larger one"
        )
    kept = f"matrix {matrix[0]} x {matrix[1]}: {columns.sum()} of {scan.n_samples} samples, {rows.sum()} readouts kept"
    resized = replace(
        scan,
        kspace=spool.stack(scan.n_slices, lambda s: scan.kspace[s][:, rows][..., columns]),
        trajectory=spool.stack(scan.n_slices, lambda s: trajectory[s][rows][:, columns]),
        times=scan.times[:, rows],
        frame=None if scan.frame is None else scan.frame[:, rows],
        phase=None if scan.phase is None else scan.phase[:, rows],
        measured=None if scan.measured is None else scan.measured[:, rows],
        coil_maps=None,
        matrix=matrix,
        affine=None if scan.affine is None else _resampled(scan, matrix),
        notes=(*scan.notes, kept),
    )
    scan.release()
    return resized


def _resampled(scan: Scan, matrix: tuple[int, int]) -> np.ndarray:
    """The affine of the new matrix: both centres, index n // 2, are the same point."""
    assert scan.affine is not None
    affine = scan.affine.copy()
    for axis, (old, new) in enumerate(zip(scan.matrix[::-1], matrix[::-1], strict=True)):
        affine[:3, axis] *= old / new
    old_centre = np.array([scan.matrix[1] // 2, scan.matrix[0] // 2, 0.0])
    new_centre = np.array([matrix[1] // 2, matrix[0] // 2, 0.0])
    affine[:3, 3] += scan.affine[:3, :3] @ old_centre - affine[:3, :3] @ new_centre
    return affine
