"""A scan that measured the grid of k-space, undersampled by a mask after the fact."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from dainr.errors import BadRequest
from dainr.io.scans.on_grid import WHOLE
from dainr.prepare.frames import reorder
from dainr.prepare.whiten import noise_covariance, whiten
from dainr.scan import SET_ASIDE, Scan


def undersample(scan: Scan, mask: Bool[np.ndarray, "x y frame"]) -> Scan:
    """What the mask keeps: whole readouts or, where it cuts through them, single samples as readouts of their own.

    A mask of one frame serves all. Where every frame is fully sampled, its images, the root of the sum of squares over
    the noise-whitened coils as in a run, become the reference. Raises BadRequest where scan and mask do not belong
    together.
    """
    ny, nx = scan.matrix
    if scan.frame is None or not scan.is_cartesian:
        raise BadRequest(scan.name, "it is not Cartesian with frames: no mask fits it", "leave out --mask")
    if mask.shape[:2] != (nx, ny) or mask.shape[2] not in (1, scan.n_frames):
        raise BadRequest(
            "--mask",
            f"it is {' x '.join(map(str, mask.shape))} (x, y, frame), the scan {nx} x {ny} x {scan.n_frames}",
            "give the mask of this scan",
        )
    measured = np.zeros((scan.n_slices, scan.n_readouts, scan.n_samples), bool)
    for index, frame in enumerate(scan.frame):
        y, x = np.moveaxis(_cells(scan.trajectory[index], scan.matrix), -1, 0)
        in_mask = np.where(mask.shape[2] > 1, frame, 0)[:, None]
        measured[index] = mask[x, y, in_mask] & scan.used[index][:, None]
    share = measured.mean(2)
    reference = _images(scan) if scan.reference is None else scan.reference
    whole = ((share == 0) | (share >= WHOLE)).all()
    kept = share > 0 if whole else measured.reshape(scan.n_slices, -1)
    return _select(scan if whole else _in_points(scan), kept).changed(reference=reference)


def _cells(trajectory: Float[np.ndarray, "readout sample 2"], matrix: tuple[int, int]) -> np.ndarray:
    """Where on the grid every sample lies (y, x), counted from its first row and column."""
    size = np.array(matrix)
    return (np.rint(trajectory * size).astype(np.int64) + size // 2) % size


def _images(scan: Scan) -> Float[np.ndarray, "slice frame y x"] | None:
    """The images of fully sampled frames; None where some sample of some frame is missing."""
    images = np.zeros((scan.n_slices, scan.n_frames, *scan.matrix), np.float32)
    assert scan.frame is not None
    for index, trajectory in enumerate(scan.trajectory):
        cells = _cells(trajectory, scan.matrix)
        used = scan.used[index]
        measured = scan.kspace[index][:, used], trajectory[used]
        covariance, _ = noise_covariance(*measured, scan.noise, scan.matrix)
        white = whiten(scan.kspace[index], covariance)
        for number in range(scan.n_frames):
            mine = scan.frame[index] == number
            grid, hits = np.zeros((scan.n_coils, *scan.matrix), np.complex64), np.zeros(scan.matrix, bool)
            grid[:, cells[mine, :, 0], cells[mine, :, 1]] = white[:, mine]
            hits[cells[mine, :, 0], cells[mine, :, 1]] = True
            if not hits.all():
                return None
            shifted = np.fft.ifftshift(grid, axes=(1, 2))
            coil_images = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(1, 2))
            images[index, number] = np.sqrt((np.abs(coil_images) ** 2).sum(0))
    return images


def _in_points(scan: Scan) -> Scan:
    """The same scan, every sample a readout of its own."""
    n = scan.n_samples
    each = {name: getattr(scan, name) for name in ("times", "frame", "phase", "copy_of")}
    parts: dict[str, Any] = {name: None if a is None else np.repeat(a, n, 1) for name, a in each.items()}
    kspace = scan.kspace.reshape(scan.n_slices, scan.n_coils, -1, 1)
    if scan.density is not None:
        parts["density"] = scan.density.reshape(scan.n_slices, -1, 1)
    return scan.changed(kspace=kspace, trajectory=scan.trajectory.reshape(scan.n_slices, -1, 1, 2), **parts)


def _select(scan: Scan, kept: Bool[np.ndarray, "slice readout"]) -> Scan:
    """The readouts that are kept; slices of fewer are filled up with others, set aside."""
    order = np.argsort(~kept, axis=1, kind="stable")[:, : kept.sum(1).max()]
    rows = np.arange(scan.n_slices)[:, None]
    assert scan.frame is not None
    return reorder(scan, order, np.where(kept[rows, order], scan.frame[rows, order], SET_ASIDE))
