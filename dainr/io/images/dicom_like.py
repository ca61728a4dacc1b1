"""What a cine's DICOM images take over from an image of the scanner's: patient, study and frame of reference.

The modules are those of PS3.3: Patient (C.7.1.1), General and Patient Study (C.7.2), Frame of Reference (C.7.4.1).
"""

import logging
import warnings
from pathlib import Path

import pydicom

from dainr.errors import BadScan

PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
STUDY = (
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber"),
    *("ReferringPhysicianName", "PatientAge", "PatientSize", "PatientWeight"),
)
PLACE = ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition")
log = logging.getLogger(__name__)


def read_like(path: Path, is_placed: bool) -> pydicom.Dataset:
    """What is taken over from the scanner's image; its frame of reference only for images whose place is known.

    Raises BadScan where it is no DICOM image or names no study.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard's rules: they are copied as they are
            image = pydicom.dcmread(path, stop_before_pixels=True)
    except (OSError, pydicom.errors.InvalidDicomError, ValueError, EOFError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else "it is no DICOM image"
        raise BadScan(str(path), why, "name one .dcm file of the scanner's") from error
    if not image.get("StudyInstanceUID"):
        raise BadScan(str(path), "it names no study", "name one .dcm file of the scanner's")
    taken = pydicom.Dataset()
    for name in ("SpecificCharacterSet", *PATIENT, *STUDY, *(PLACE if is_placed else ())):
        if image.get(name):
            taken[name] = image[name]
    if not is_placed:
        log.warning("the scan tells no orientation: the frame of reference of %s is not taken", path)
    log.warning("the images hold patient data, taken from %s", path)
    return taken
