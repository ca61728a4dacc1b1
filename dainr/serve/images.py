"""Images as a scanner takes them: the place of the slice, its counters and times, and what they show, in attributes."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_header_dtype

from dainr import __version__
from dainr.cine import Cine
from dainr.io.images.mrd import image_of
from dainr.io.scans.ismrmrd_times import RARE_S, TICK_S, UNITS_S

BITS = rb"<(?:\w+:)?name>\s*BitsStored\s*</(?:\w+:)?name>\s*<(?:\w+:)?value>\s*(\d{1,3})\s*<"
COPIED = ("measurement_uid", "patient_table_position", "user_int", "user_float")
COUNTERS = ("average", "contrast", "repetition", "set")
STAMPS = 2**32  # time stamps start anew there
LARGEST = 2**15 - 1  # of 16 bits with a sign, where the header does not say how many the scanner stores
WINDOW = 99.5  # percentile of the magnitudes that is white
SERIES = {"cine": 1, "error map": 2, "preview": 3}
DESCRIBED = {"cine": "dainr", "error map": "dainr_error", "preview": "dainr_preview"}


@dataclass(frozen=True, eq=False)
class Measured:
    """What images take over of the readouts of a scan."""

    heads: np.ndarray  # the first readout of each slice, as the format has it
    bits: int | None = None  # how many the scanner stores of a pixel, where the header says it

    def of_slice(self, index: int, centre: np.ndarray | None) -> np.void:
        """The first readout of a slice: of one whose place is known, that which lies nearest."""
        if centre is None or len(self.heads) == 1:
            order = np.argsort(self.heads["idx"]["slice"], kind="stable")
            head: np.void = self.heads[order[index % len(order)]]
            return head
        distance = np.linalg.norm(self.heads["position"] - centre, axis=1)
        nearest: np.void = self.heads[int(np.argmin(distance))]
        return nearest


def first_heads(heads: Sequence[bytes]) -> np.ndarray:
    """Heads of readouts as one array."""
    return np.frombuffer(b"".join(heads), acquisition_header_dtype)


@dataclass(frozen=True)
class Series:
    """What is said of all images of a series."""

    kind: str  # one of SERIES
    method: str
    comment: Sequence[str]
    pixels: str  # int16, float or complex
    unit_s: float = TICK_S  # of time stamps


def unit_of(record: dict[str, Any]) -> float:
    """The unit of the scan's time stamps, in s, by the record of its run."""
    return (UNITS_S | RARE_S).get(record.get("scan", {}).get("time_unit", ""), TICK_S)


def images_of(
    cine: Cine, series: Series, measured: Measured, first: int = 0, leave_out: Collection[int] = ()
) -> Iterator[Any]:
    """The images of a cine as `ismrmrd.Image`, slice by slice, numbered from 1.

    `first`: the number of its first slice in the whole cine; `leave_out`: slices that need not be there.
    """
    largest = min(2**measured.bits - 1, LARGEST) if measured.bits else LARGEST
    peak = max((float(np.abs(part).max()) for part in cine.data), default=0.0)
    scale = largest / peak if series.pixels == "int16" and peak > 0 else 1.0
    white = scale * max(float(np.percentile(np.abs(part), WINDOW)) for part in cine.data)
    oriented = cine.affine is not None or cine.planes is not None
    if first and not oriented:  # where nothing says where slices lie, each lies on the one before
        affine = cine.orientation()
        affine[:3, 3] += first * affine[:3, 2]
        cine = replace(cine, affine=affine)
    for volume, begins in _volumes(cine):
        for index, frame in np.ndindex(*volume.data.shape[:2]):
            place = first + begins + index
            if place in leave_out:
                continue
            image = image_of(volume, index, frame)
            centre = np.array(image.position) if oriented else None
            _measured_as(image, measured.of_slice(place, centre), volume.times[frame] - volume.times[0], series)
            image.slice, image.image_index = place, place * volume.data.shape[1] + frame + 1
            image.image_series_index = SERIES[series.kind]
            image = ismrmrd.Image(image.getHead(), data=_pixels(image.data, series.pixels, scale))
            image.image_type = ismrmrd.IMTYPE_COMPLEX if series.pixels == "complex" else ismrmrd.IMTYPE_MAGNITUDE
            image.meta = _attributes(series, image, scale, white)
            yield image


def bits_stored(document: bytes) -> int | None:
    """How many bits of a pixel the scanner stores, by a parameter of the header that Siemens' has."""
    told = re.search(BITS, document)
    return int(told[1]) if told and 8 <= int(told[1]) <= 16 else None


def _volumes(cine: Cine) -> Iterator[tuple[Cine, int]]:
    """The stacks of a cine, and the number of the first slice of each."""
    first = 0
    for volume in cine.volumes():
        yield volume, first
        first += len(volume.data)


def _measured_as(image: Any, head: np.void, since_s: float, series: Series) -> None:
    """Take over what the readouts of the slice say; time stamps are counted from its first readout."""
    for name in COPIED:
        value = head[name]
        if np.ndim(value):
            getattr(image, name)[:] = value.tolist()
        else:
            setattr(image, name, int(value))
    for name in COUNTERS:
        setattr(image, name, int(head["idx"][name]))
    ticks = round(float(since_s) / series.unit_s)
    image.acquisition_time_stamp = (int(head["acquisition_time_stamp"]) + ticks) % STAMPS
    image.physiology_time_stamp[0] = ticks % STAMPS


def _pixels(image: np.ndarray, kind: str, scale: float) -> np.ndarray:
    if kind == "complex":
        return image.astype(np.complex64)
    magnitude = scale * np.abs(image)
    return np.rint(magnitude).astype(np.int16) if kind == "int16" else magnitude.astype(np.float32)


def _attributes(series: Series, image: Any, scale: float, white: float) -> ismrmrd.Meta:
    """What a scanner, and who looks at the image, is told of it; numbers in pixels are those of the image, divided by
    `dainr_scale` those of the cine.
    """
    return ismrmrd.Meta(
        {
            "DataRole": "Image",
            "ImageProcessingHistory": ["DAINR", series.method],
            "Keep_image_geometry": 1,
            "SequenceDescriptionAdditional": DESCRIBED[series.kind],
            "SeriesDescriptionAdditional": DESCRIBED[series.kind],
            "ImageComment": [f"dainr {__version__}", *series.comment],
            "WindowCenter": _number(white / 2, series.pixels),
            "WindowWidth": _number(white, series.pixels),
            "ImageRowDir": [f"{value:.9f}" for value in image.read_dir],
            "ImageColumnDir": [f"{value:.9f}" for value in image.phase_dir],
            "ImageSliceNormDir": [f"{value:.9f}" for value in image.slice_dir],
            "dainr_scale": repr(scale),
        }
    )


def _number(value: float, pixels: str) -> str:
    return str(max(1, round(value))) if pixels == "int16" else f"{value:.6g}"
