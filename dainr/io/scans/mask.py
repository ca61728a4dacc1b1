"""Sampling masks in files of their own, as CMRxRecon and others give them beside fully sampled k-space."""

from pathlib import Path

import numpy as np
from jaxtyping import Bool

from dainr.errors import BadScan
from dainr.io.images.series import UNREADABLE
from dainr.io.scans import matlab


def read_mask(path: Path) -> Bool[np.ndarray, "x y frame"]:
    """Where a mask `x y` or `x y frame` of a MATLAB file or of numpy's `.npy` is not zero; one frame stands for all.

    Raises BadScan when the file is missing, damaged, or holds no such mask.
    """
    where = str(path)
    if not path.is_file():
        raise BadScan(where, "there is no such file", "name a MATLAB file or .npy with a sampling mask")
    try:
        mask = np.load(path, allow_pickle=False) if path.suffix == ".npy" else matlab.read_mask(path)
    except UNREADABLE as error:
        raise BadScan(where, f"it cannot be read ({error})", "export it again") from error
    if not isinstance(mask, np.ndarray) or mask.dtype.kind not in "biuf":
        raise BadScan(where, "it holds no sampling mask", "give an array of zeros and ones")
    if not np.isfinite(mask).all():
        raise BadScan(where, "its mask holds NaN or Inf", "give an array of zeros and ones")
    shape = (*mask.shape[:2], *[n for n in mask.shape[2:] if n != 1])
    if len(shape) not in (2, 3) or 0 in shape:
        raise BadScan(where, f"its mask has shape {mask.shape}", "store it as x, y or x, y, frame")
    mask = mask.reshape(*shape, *[1] * (3 - len(shape))) != 0
    empty = np.flatnonzero(~mask.any((0, 1)))
    if len(empty):
        raise BadScan(where, f"frame {empty[0]} of its mask is empty", "give every frame a sample")
    return mask
