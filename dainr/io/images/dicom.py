"""DICOM: a folder with one MR image per slice and frame, which viewers open as a cine of the stack."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dainr.cine import Cine
from dainr.errors import BadRequest
from dainr.machine import disk
from dainr.machine.beside import beside, exchange

FOLDER = "dicom"  # how the name of such a folder ends
BYTES = 2  # a pixel


@dataclass(frozen=True)
class DicomOptions:
    """How images are written as DICOM."""

    one_series_per_slice: bool = False  # for viewers that play a series as one film
    like: Path | None = None  # an image of the scanner's, whose patient, study and frame of reference they get


def write_dicom(cine: Cine, path: Path, options: DicomOptions = DicomOptions()) -> None:
    """Write the magnitude of a cine as a folder of .dcm files, slice by slice; it appears only once it is complete.

    A folder of .dcm files that is there already is replaced. Raises BadRequest where the folder cannot be written,
    BadScan where the scanner's image cannot be read or names no study.
    """
    from dainr.io.images.dicom_image import write_images  # here, for pydicom takes a while and few results are DICOM

    target = path.resolve() if path.is_symlink() else path
    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(beside(target, is_folder=True))
        except OSError as error:
            raise BadRequest(str(path), f"it cannot be written ({error.strerror})", "choose another folder") from error
        images = temporary / "images"
        images.mkdir()
        disk.check_room(target, cine.data.size * BYTES)
        with disk.room_for(target):
            write_images(cine, images, options.one_series_per_slice, options.like)
        try:
            if target.is_dir() and not exchange(images, target):
                target.rename(temporary / "replaced")
            if not target.is_dir():
                images.rename(target)
        except OSError as error:
            raise BadRequest(str(path), f"it cannot be replaced ({error.strerror})", "choose another name") from error


def holds_only_dicom(folder: Path) -> bool:
    """Whether everything in a folder is a .dcm file, so that an export may replace it."""
    return all(entry.is_file() and entry.suffix == ".dcm" for entry in folder.iterdir())
