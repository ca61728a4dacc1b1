"""K-space stored on its whole grid, zeros where nothing was measured, as BART and MATLAB files hold it."""

import numpy as np
from jaxtyping import Complex

from dainr.errors import BadScan

NO_LENGTHS = "the file holds neither times nor lengths: frames are spread over one second, pixels are 1 mm"


def lines_on_grid(
    kspace: Complex[np.ndarray, "x y coil time slice"], where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, int]]:
    """Samples, trajectory, frame and matrix of the lines that hold anything, along the first axis or the second.

    The centre of k-space is at n // 2. Raises BadScan where a frame is empty, or its samples are no whole lines.
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
        if along_y is None:
            raise BadScan(where, "its samples are no whole lines along either axis", "give undersampled lines alone")
        samples, trajectory, frame = along_y[0], along_y[1][..., ::-1], along_y[2]
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
