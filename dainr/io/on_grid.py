"""K-space stored on its whole grid, zeros where nothing was measured, as BART and MATLAB files hold it."""

import numpy as np
from jaxtyping import Complex

from dainr.errors import BadScan

NO_LENGTHS = "the file holds neither times nor lengths: frames are spread over one second, pixels are 1 mm"


def lines_on_grid(
    kspace: Complex[np.ndarray, "x y coil time slice"], where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Samples, trajectory, frame and matrix of what holds anything: lines along the first axis or the second.

    Where neither has whole lines, as with pseudo-radial masks, every point is a readout of one sample. The centre of
    k-space is at n // 2. Raises BadScan where a frame is empty.
    """
    with np.errstate(invalid="ignore"):  # NaN counts as measured; Scan refuses it
        measured = (kspace != 0).any((2, 4))  # x y time
    empty = np.flatnonzero(~measured.any((0, 1)))
    if len(empty):
        raise BadScan(where, f"its frame {empty[0]} holds nothing but zeros", "leave that frame out of the file")
    along_x = _lines(kspace, measured)
    if along_x is not None:
        samples, trajectory, frame = along_x
    else:
        along_y = _lines(kspace.swapaxes(0, 1), measured.swapaxes(0, 1))
        if along_y is not None:
            samples, trajectory, frame = along_y[0], along_y[1][..., ::-1], along_y[2]
        else:
            samples, trajectory, frame = _points(kspace, measured)
    trajectory = np.broadcast_to(trajectory.astype(np.float32), (len(samples), *trajectory.shape))
    return samples, trajectory, frame, (kspace.shape[1], kspace.shape[0])


def _lines(k: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Samples, trajectory and frame of `sample line coil time slice` where each frame has whole lines, else None."""
    columns = np.flatnonzero(measured.any((1, 2)))
    first, end = columns[0], columns[-1] + 1
    frame, line = np.nonzero(measured.any(0).T)
    if not measured[first:end, line, frame].all():
        return None
    samples = np.ascontiguousarray(k[first:end, line, :, frame, :].transpose(3, 2, 0, 1))
    n_samples, n_lines = k.shape[:2]
    across, along = (line - n_lines // 2) / n_lines, (np.arange(first, end) - n_samples // 2) / n_samples
    return samples, np.stack(np.broadcast_arrays(across[:, None], along[None]), -1), frame


def _points(k: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, trajectory and frame of every measured point of `x y coil time slice` by itself."""
    frame, x, y = np.nonzero(measured.transpose(2, 0, 1))
    samples = np.ascontiguousarray(k[x, y, :, frame, :].transpose(2, 1, 0))[..., None]
    n_x, n_y = k.shape[:2]
    return samples, np.stack([(y - n_y // 2) / n_y, (x - n_x // 2) / n_x], -1)[:, None], frame
