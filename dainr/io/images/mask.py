"""Labels drawn in another program, from a NIfTI file of any matrix and orientation that overlays the cine."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import map_coordinates

from dainr.cine import Cine
from dainr.errors import BadScan
from dainr.io.hdf5 import unreadable

log = logging.getLogger(__name__)

MOST_LABELS = 100  # with more it is an image, and no drawing
FINER = 4  # places read in each pixel along each side, so that shares of pixels are known


def read_mask(
    path: Path, cine: Cine, frame: int
) -> tuple[Float[np.ndarray, "label slice y x"], Int[np.ndarray, " label"]]:
    """The share of each pixel of the cine that each label takes, and the numbers of the labels.

    A file with as many frames as the cine is read at `frame`. Raises BadScan for one that is no NIfTI file, holds no
    labels, or none that lies in the images.
    """
    labels, affine = _read(path, cine.data.shape[1], frame)
    numbers = np.unique(labels[labels != 0])
    where = str(path)
    if not len(numbers):
        raise BadScan(where, "it holds no label" + (f" in frame {frame}" if frame else ""), "draw one")
    planes = cine.planes if cine.planes is not None else _planes(cine)
    shares = np.stack([_shares(labels, affine, plane, cine.data.shape[2:], numbers) for plane in planes], 1)
    lost = [int(number) for number, share in zip(numbers, shares, strict=True) if not share.any()]
    if len(lost) == len(numbers):
        raise BadScan(where, "no label lies in the images of the run", "draw it over an export of this run (.nii.gz)")
    if lost:
        log.warning("%s: nothing of label %s lies in the images", where, ", ".join(map(str, lost)))
    return shares, numbers


def _read(path: Path, n_frames: int, frame: int) -> tuple[Int[np.ndarray, "x y z"], Float[np.ndarray, "4 4"]]:
    """The labels of one frame, and their affine."""
    import nibabel  # here, for it takes a while

    where = str(path)
    try:
        image: Any = nibabel.loadsave.load(path)
        values = np.asarray(image.dataobj)
        affine = np.asarray(image.affine, np.float64)
    except FileNotFoundError as error:
        raise BadScan(where, "there is no such file", "check the path") from error
    except PermissionError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # nibabel raises of many kinds for files that are none
        raise BadScan(where, "it is no NIfTI file that can be read", "save the labels as .nii.gz") from error
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim == 4 and values.shape[3] == n_frames:
        values = values[..., frame]
    if values.ndim != 3 or values.dtype.kind not in "iuf":
        shape = " x ".join(map(str, values.shape))
        raise BadScan(where, f"it is {shape}", f"give labels of three dimensions, or four with {n_frames} frames")
    labels = np.rint(values)
    if not np.isfinite(values).all() or np.abs(values - labels).max() > 1e-3 or labels.min() < 0:
        raise BadScan(where, "it does not hold whole numbers from 0", "save labels, not an image")
    if len(np.unique(labels)) > MOST_LABELS + 1:
        raise BadScan(where, f"it holds more than {MOST_LABELS} labels", "save labels, not an image")
    if abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise BadScan(where, "its affine has no volume", "save it again with its place")
    return labels.astype(np.int64), affine


def _planes(cine: Cine) -> Sequence[Float[np.ndarray, "4 4"]]:
    """(x, y, 0) -> RAS mm of every slice of a stack."""
    affine, planes = cine.orientation(), []
    for index in range(len(cine.data)):
        plane = affine.copy()
        plane[:3, 3] += index * affine[:3, 2]
        planes.append(plane)
    return planes


def _shares(
    labels: Int[np.ndarray, "x y z"],
    affine: Float[np.ndarray, "4 4"],
    plane: Float[np.ndarray, "4 4"],
    matrix: Sequence[int],
    numbers: Int[np.ndarray, " label"],
) -> Float[np.ndarray, "label y x"]:
    """How much of each pixel of a slice the labels take, read at the nearest voxels of several places in it."""
    ny, nx = matrix
    fine = [(np.arange(n * FINER) + 0.5) / FINER - 0.5 for n in (ny, nx)]
    y, x = np.meshgrid(*fine, indexing="ij")
    places = np.stack([x, y, np.zeros_like(x), np.ones_like(x)])
    voxel = np.tensordot(np.linalg.inv(affine) @ plane, places, axes=1)[:3]
    at = map_coordinates(labels, voxel, order=0, mode="grid-constant", cval=0)
    blocks = [(at == number).reshape(ny, FINER, nx, FINER).mean((1, 3)) for number in numbers]
    return np.stack(blocks)
