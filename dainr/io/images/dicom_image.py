"""A cine's DICOM images.

MR Image Storage (PS3.3 A.4), derived images: what a run does not know is left empty, as the standard has it for such
attributes. Every export is a new series, of a new study and an unnamed patient, or of the study of a scanner's image.
The pace of the film stands in the attributes that viewers look for, also those of the standard's cine module (C.7.6.5).
"""

from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from jaxtyping import Float
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from dainr import __version__
from dainr.cine import Cine
from dainr.io.images.dicom_like import read_like

LARGEST = 4095  # of the stored values: 12 bits, which every viewer windows well
WHITE_PERCENTILE = 99.7
EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "Laterality"),
    *("ReferringPhysicianName", "PositionReferenceIndicator", "EchoTime", "RepetitionTime", "EchoTrainLength"),
    *("StudyDate", "StudyTime", "Manufacturer", "PatientPosition"),
)


def write_images(cine: Cine, folder: Path, one_series_per_slice: bool, like: Path | None) -> None:
    """Write the magnitude of a cine into a folder, one .dcm file per slice and frame; as `DicomOptions`."""
    magnitude = np.abs(cine.data)
    step = float(magnitude.max()) / LARGEST or 1.0
    white = float(np.percentile(magnitude, WHITE_PERCENTILE))
    n_frames = magnitude.shape[1]
    volumes = cine.volumes()
    places = [(number, place) for number, volume in enumerate(volumes) for place in range(len(volume.data))]
    series = _series(len(places), "slice") if one_series_per_slice else _series(len(volumes), "view")
    uids = {name: generate_uid() for name in ("StudyInstanceUID", "FrameOfReferenceUID")}
    taken = None if like is None else read_like(like, is_placed=volumes[0].affine is not None)
    for index, (view, place) in enumerate(places):
        of_series = series[index if one_series_per_slice else view]
        for frame in range(n_frames):
            image = _image(volumes[view], place, frame, np.round(magnitude[index, frame] / step).astype(np.uint16))
            image.InstanceNumber = str((0 if one_series_per_slice else place * n_frames) + frame + 1)
            for name, value in {**uids, **of_series}.items():
                setattr(image, name, value)
            image.RescaleSlope, image.RescaleIntercept, image.RescaleType = f"{step:.10g}", "0", "US"
            image.WindowCenter, image.WindowWidth = f"{0.5 * white:.10g}", f"{max(white, step):.10g}"
            if taken is not None:
                image.update(taken)
            image.save_as(folder / f"slice{index:03d}_frame{frame:04d}.dcm", enforce_file_format=True)


def _series(count: int, of: str) -> list[dict[str, str]]:
    """What tells the series apart: one for all slices, or one a slice or a view."""
    return [
        {
            "SeriesInstanceUID": generate_uid(),
            "SeriesNumber": str(number + 1),
            "SeriesDescription": f"dainr cine, {of} {number}" if count > 1 else "dainr cine",
        }
        for number in range(count)
    ]


def _image(cine: Cine, index: int, frame: int, stored: np.ndarray) -> FileDataset:
    """One image, without what all have in common."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for name in EMPTY:
        setattr(image, name, "")
    now = datetime.now()
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.InstanceCreationDate, image.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    image.Modality = "MR"
    image.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    image.DerivationDescription = f"reconstructed from raw data by dainr {__version__}"
    image.ScanningSequence, image.SequenceVariant, image.MRAcquisitionType = "RM", "NONE", "2D"
    _place(image, cine, index)
    _time(image, cine, frame)
    image.Rows, image.Columns = stored.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    image.PixelData = stored.astype("<u2").tobytes()
    return image


def _place(image: pydicom.Dataset, cine: Cine, index: int) -> None:
    """Position and orientation in the patient; DICOM's axes point left, posterior and head, the affine's right, ..."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ cine.orientation()
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :2] / lengths[:2]
    image.ImageOrientationPatient = _decimals(directions.T.ravel())
    image.ImagePositionPatient = _decimals(affine[:3] @ np.array([0, 0, index, 1.0]))
    image.PixelSpacing = _decimals(lengths[[1, 0]])  # between rows, between columns
    image.SliceThickness = f"{cine.slice_thickness_mm:.10g}"
    image.SpacingBetweenSlices = f"{lengths[2]:.10g}"
    image.SliceLocation = f"{np.cross(*directions.T) @ affine[:3] @ np.array([0, 0, index, 1.0]):.10g}"


def _time(image: pydicom.Dataset, cine: Cine, frame: int) -> None:
    """When in the cycle, ms after the first frame, and how fast to play.

    Trigger times belong to images gated to the heart (scan option CG); those in real time have none. The repetition
    time is that from frame to frame, as scanners have it in cines and as converters to NIfTI read it; the sequence's
    own is not known.
    """
    n_frames, step_ms, gated = len(cine.times), 1e3 * cine.frame_spacing, cine.cyclic is not False
    image.ScanOptions = "CG" if gated else ""
    if gated:
        image.TriggerTime = f"{1e3 * (cine.times[frame] - cine.times[0]):.10g}"
        image.CardiacNumberOfImages = str(n_frames)
    image.TemporalPositionIdentifier, image.NumberOfTemporalPositions = str(frame + 1), str(n_frames)
    if step_ms > 0:
        image.TemporalResolution = image.FrameTime = image.RepetitionTime = f"{step_ms:.10g}"
        image.CineRate = image.RecommendedDisplayFrameRate = str(max(1, round(1e3 / step_ms)))
        if gated:
            image.NominalInterval = str(round(step_ms * n_frames))


def _decimals(values: Float[np.ndarray, " value"]) -> list[str]:
    return [f"{value:.10g}" for value in values]
