"""K-space stored on its whole grid, zeros where nothing was measured, as BART and MATLAB files hold it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Complex, Float, Integer

from dainr.errors import BadScan
from dainr.scan import SET_ASIDE

ASSUMED = ("pixel_mm", "slice_mm", "frame_ms")  # frames spread over one second, pixels and slices of 1 mm
PERHAPS_VIEWS = (
    "its {} slices are taken as one stack, which the file does not say: they may be views of several directions"
)
WHOLE = 0.9  # of a line: as many samples other than zero make it a measured one; a few may be zero by chance


class Readouts(NamedTuple):
    """What a grid holds, as parts of a scan. Slices with fewer readouts than others are filled up, set aside."""

    kspace: Complex[np.ndarray, "slice coil readout sample"]
    trajectory: Float[np.ndarray, "slice readout sample 2"]
    frame: Integer[np.ndarray, "slice readout"]
    matrix: tuple[int, int]  # ny, nx

    @property
    def times(self) -> Float[np.ndarray, "slice readout"]:
        """The frames spread over one second."""
        return np.maximum(self.frame, 0) / (int(self.frame.max()) + 1)


def readouts_on_grid(kspace: Complex[np.ndarray, "x y coil time slice"], where: str) -> Readouts:
    """What holds anything: lines along the first axis or the second.

    Where neither has whole lines, as with pseudo-radial masks, every point is a readout of one sample. The centre of
    k-space is at n // 2. Raises BadScan where a frame is empty.
    """
    with np.errstate(invalid="ignore"):  # NaN counts as measured; Scan refuses it
        measured = np.stack([(kspace[..., index] != 0).any(2) for index in range(kspace.shape[4])])  # slice x y time
    empty = np.argwhere(~measured.any((1, 2)))
    if len(empty):
        of = f" of slice {empty[0, 0]}" if len(measured) > 1 else ""
        raise BadScan(where, f"its frame {empty[0, 1]}{of} holds nothing but zeros", "leave it out of the file")
    found = _lines(kspace, measured)
    if found is None:
        found = _lines(kspace.swapaxes(0, 1), measured.swapaxes(1, 2))
        if found is not None:
            found = found[0], found[1][..., ::-1], found[2]
    samples, trajectory, frame = found or _points(kspace, measured)
    return Readouts(samples, trajectory, frame, (kspace.shape[1], kspace.shape[0]))


Parts = tuple[np.ndarray, np.ndarray, np.ndarray]  # samples, trajectory, frame


def _lines(k: np.ndarray, measured: Bool[np.ndarray, "slice sample line time"]) -> Parts | None:
    """The lines of `sample line coil time slice` where each frame has whole ones, else None."""
    columns = np.flatnonzero(measured.any((0, 2, 3)))
    first, end = columns[0], columns[-1] + 1
    share = measured[:, first:end].mean(1)  # slice, line, time
    if ((share > 0) & (share < WHOLE)).any():
        return None
    n_samples, n_lines, n_coils = k.shape[:3]
    places = [np.nonzero(one.T) for one in share > 0]  # frame, line
    n = max(len(frame) for frame, _ in places)
    samples = np.zeros((len(places), n_coils, n, end - first), np.complex64)
    trajectory, frames = np.zeros((len(places), n, end - first, 2), np.float32), np.full((len(places), n), SET_ASIDE)
    along = (np.arange(first, end) - n_samples // 2) / n_samples
    for index, (frame, line) in enumerate(places):
        used = slice(0, len(frame))
        samples[index, :, used] = k[first:end, line, :, frame, index].transpose(2, 0, 1)
        across = (line - n_lines // 2) / n_lines
        trajectory[index, used] = np.stack(np.broadcast_arrays(across[:, None], along[None]), -1)
        frames[index, used] = frame
    return samples, trajectory, frames


def _points(k: np.ndarray, measured: Bool[np.ndarray, "slice x y time"]) -> Parts:
    """Every measured point of `x y coil time slice` by itself."""
    n_x, n_y, n_coils = k.shape[:3]
    places = [np.nonzero(one.transpose(2, 0, 1)) for one in measured]  # frame, x, y
    n = max(len(frame) for frame, _, _ in places)
    samples = np.zeros((len(places), n_coils, n, 1), np.complex64)
    trajectory, frames = np.zeros((len(places), n, 1, 2), np.float32), np.full((len(places), n), SET_ASIDE)
    for index, (frame, x, y) in enumerate(places):
        used = slice(0, len(frame))
        samples[index, :, used, 0] = k[x, y, :, frame, index].T
        trajectory[index, used, 0] = np.stack([(y - n_y // 2) / n_y, (x - n_x // 2) / n_x], -1)
        frames[index, used] = frame
    return samples, trajectory, frames
