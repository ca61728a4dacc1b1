"""Writing a reconstruction in the format its suffix names."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from dainr.cine import Cine, in_words
from dainr.errors import BadRequest
from dainr.io.hdf5 import write_whole
from dainr.io.images import dicom, mrd
from dainr.io.images.cine import write_cine
from dainr.io.images.displacement import write_displacement
from dainr.io.images.nifti import write_nifti
from dainr.io.images.video import write_movie, write_sheet
from dainr.io.scans import bart
from dainr.io.scans.formats import READERS
from dainr.motion import Motion

log = logging.getLogger(__name__)


def _write_hdf5(cine: Cine, path: Path) -> None:
    write_cine(cine, path)


WRITERS: dict[str, Callable[[Cine, Path], None]] = {
    ".h5": _write_hdf5,
    ".nii.gz": write_nifti,
    ".nii": write_nifti,
    ".mp4": write_movie,
    ".gif": write_movie,
    ".png": write_sheet,
    ".cfl": bart.write_images,
    ".mrd": mrd.write_images,
}
SUFFIXES = (".npy", *WRITERS, dicom.FOLDER)
OF_ONE_VOLUME = (".nii.gz", ".nii", ".mrd")  # formats of one stack of slices a file
WITHOUT_LENGTHS = (".npy", ".png", ".cfl", ".mp4", ".gif")  # formats that store no sizes
WITHOUT_TIMES = (".npy", ".png", ".cfl")


def targets(cine: Cine, path: Path) -> list[Path]:
    """The files that an export writes: one, or one a view where slices are no one stack and the format holds one.

    Views are numbered from 1: cine_view1.nii.gz.
    """
    return _of_views(path, len(cine.volumes()))


def motion_targets(motion: Motion, path: Path) -> list[Path]:
    """The files that an export of motion writes, numbered as those of a cine."""
    return _of_views(path, len(motion.volumes()))


def _of_views(path: Path, count: int) -> list[Path]:
    if count == 1 or not path.name.endswith(OF_ONE_VOLUME):
        return [path]
    suffix = next(suffix for suffix in OF_ONE_VOLUME if path.name.endswith(suffix))
    stem = path.name.removesuffix(suffix)
    return [path.with_name(f"{stem}_view{number}{suffix}") for number in range(1, count + 1)]


def check_target(path: Path, force: bool, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Refuse, before anything is rendered, an unknown suffix, a missing folder and a file that exists.

    Raises BadRequest.
    """
    if not path.name.endswith(suffixes):
        raise BadRequest(str(path), "its suffix names no format", f"end it with {' or '.join(suffixes)}")
    if not path.parent.is_dir():
        raise BadRequest(str(path), f"there is no folder {path.parent}", "create it first")
    if not os.access(path.parent, os.W_OK):
        raise BadRequest(str(path), f"the folder {path.parent} cannot be written to", "choose another folder")
    if path.is_dir() and not path.name.endswith(dicom.FOLDER):
        raise BadRequest(str(path), "it is a folder", "name a file in it")
    if path.is_dir() and not dicom.holds_only_dicom(path):
        raise BadRequest(str(path), "it holds more than .dcm files", "name another folder")
    if path.is_file() and path.name.endswith(dicom.FOLDER):
        raise BadRequest(str(path), "it is a file", "name a folder for the images")
    if path.exists() and not force:
        raise BadRequest(str(path), "it exists already", "choose another name, or --force to replace it")
    if path.is_file() and any(reader.recognises(path) for reader in READERS):
        raise BadRequest(str(path), "it is a scan, which must not be replaced", "choose another name")


def export(
    cine: Cine, path: Path, magnitude: bool = False, dicom_options: dicom.DicomOptions = dicom.DicomOptions()
) -> None:
    """Write a cine as .npy (complex64 `slice frame y x`; float32 with `magnitude`), .h5, NIfTI, .mp4, .gif, .png,
    BART's .cfl with .hdr, ISMRMRD images (.mrd), or as a folder of DICOM images.

    NIfTI, films, pictures and DICOM always hold magnitudes; the others do with `magnitude`. Where the format stores
    lengths or times which are only assumed, a warning is logged. Raises BadScan where DICOM is to be like an image that
    cannot be read.
    """
    _warn_of_assumed(cine, path)
    views = cine.volumes()
    if len(views) > 1 and path.name.endswith(OF_ONE_VOLUME):
        log.info("%s: the slices are %d views of their own places: a file for each", path, len(views))
        for view, target in zip(views, targets(cine, path), strict=True):
            export(view, target, magnitude)
        return
    if path.name.endswith(dicom.FOLDER):
        dicom.write_dicom(cine, path, dicom_options)
        return
    if path.suffix == ".npy":
        with write_whole(path, cine.data.size * (4 if magnitude else 8)) as temporary:
            data = np.abs(cine.data) if magnitude else cine.data
            np.save(temporary, data.astype(np.float32 if magnitude else np.complex64))
        return
    if magnitude:
        cine = replace(cine, data=np.abs(cine.data).astype(np.complex64))
    WRITERS[next(suffix for suffix in WRITERS if path.name.endswith(suffix))](cine, path)


def export_motion(motion: Motion, path: Path) -> None:
    """Write motion as a NIfTI displacement field (mm, LPS), .h5 or .npy (float32 `slice frame 2 y x`, (x, y) in mm).

    Where nobody said how large pixels are, a warning is logged.
    """
    if "pixel_mm" in motion.assumed:
        log.warning(
            "%s: the size of pixels is assumed, for the scan file does not hold it, and so are all lengths in mm: fit"
            " with --pixel-mm",
            path,
        )
    files = motion_targets(motion, path)
    for view, target in zip(motion.volumes() if len(files) > 1 else [motion], files, strict=True):
        write_displacement(view, target)


def _warn_of_assumed(cine: Cine, path: Path) -> None:
    """Say which lengths and times in the file nobody knows."""
    without = {"pixel_mm": WITHOUT_LENGTHS, "slice_mm": WITHOUT_LENGTHS}
    stored = [name for name in cine.assumed if not path.name.endswith(without.get(name, WITHOUT_TIMES))]
    if stored:
        ways = ", ".join(f"--{name.replace('_', '-')}" for name in stored)
        log.warning(
            "%s: %s are assumed, for the scan file does not hold them: fit with %s", path, in_words(stored), ways
        )
