"""The ISMRMRD header: the few values of it that are used, read from XML that need not be as the schema has it.

A value of another type, an unknown element or a missing one does no harm where nothing depends on it; it is said.
"""

import warnings
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

import ismrmrd
import numpy as np

from dainr.cine import LEFT_OPEN
from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions

ASSUMED = "dainr_assumed"  # a parameter in the header of files that dainr writes
LONGEST_TOLD = 160  # characters of what the schema finds
FIX = "export it with the full header"


@dataclass(frozen=True)
class Space:
    """A matrix and its field of view; pairs are (y, x)."""

    matrix: tuple[int, int]
    fov_mm: tuple[float, float]
    n_z: int
    fov_z_mm: float

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """Pixel size (y, x)."""
        return self.fov_mm[0] / self.matrix[0], self.fov_mm[1] / self.matrix[1]


@dataclass(frozen=True)
class Header:
    """What is used of an ISMRMRD header."""

    vendor: str
    trajectory: str  # lower case; "" where it says none
    encoded: Space
    recon: Space
    centre_line: int | None
    last_line: int | None
    centre_partition: int | None
    repetition_time_ms: float | None
    pilot_tone: bool  # as OCMR's files say it, by a parameter of that name
    ramp_sampled: bool  # samples of an EPI measured while the gradient rises
    noise_bandwidth: float | None  # of the noise measurement, relative to its sampling rate
    assumed: tuple[str, ...] = ()  # which lengths and times nobody said, in files that dainr wrote


def read_header(document: Any, where: str, decisions: Decisions) -> Header:
    """What is used of the header, an XML document or an `ismrmrd.xsd.ismrmrdHeader`.

    Raises BadScan where it is no XML, describes no encoding, or a size in it is no number.
    """
    if not isinstance(document, str | bytes):
        document = ismrmrd.xsd.ToXML(document)
    try:
        text = document.encode() if isinstance(document, str) else document
        root = ET.fromstring(text.strip(b"\0 \r\n\t"))
    except (ET.ParseError, ValueError, LookupError) as error:
        raise BadScan(where, f"its ISMRMRD header cannot be read ({error})", "export it again") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    encodings = root.findall("encoding")
    if not encodings:
        raise BadScan(where, "its header describes no encoding", FIX)
    _say_what_the_schema_finds(document, decisions)
    return _read_encoding(encodings[0], root, where)


def _read_encoding(encoding: ET.Element, root: ET.Element, where: str) -> Header:
    trajectory = (encoding.findtext("trajectory") or "").strip().lower()
    centre, last, partition = (
        _number(encoding.findtext(f"encodingLimits/kspace_encoding_step_{name}"))
        for name in ("1/center", "1/maximum", "2/center")
    )
    return Header(
        vendor=root.findtext("acquisitionSystemInformation/systemVendor") or "",
        trajectory=trajectory,
        encoded=_space(encoding.find("encodedSpace"), "encodedSpace", where),
        recon=_space(encoding.find("reconSpace"), "reconSpace", where),
        centre_line=None if not np.isfinite(centre) or last == 0 else round(centre),  # limits nobody filled in
        last_line=None if not np.isfinite(last) else round(last),
        centre_partition=None if not np.isfinite(partition) else round(partition),
        repetition_time_ms=_repetition_time_ms(root),
        pilot_tone=_parameter(root, "PilotTone") == 1,
        ramp_sampled=_ramp_sampled(encoding),
        noise_bandwidth=_noise_bandwidth(root),
        assumed=_assumed(root),
    )


def _space(element: ET.Element | None, name: str, where: str) -> Space:
    if element is None:
        raise BadScan(where, f"its header has no {name}, so no matrix and field of view", FIX)
    size = {axis: _number(element.findtext(f"matrixSize/{axis}")) for axis in "xyz"}
    length = {axis: _number(element.findtext(f"fieldOfView_mm/{axis}")) for axis in "xyz"}
    given = [size["x"], size["y"], length["x"], length["y"]]
    if not (np.isfinite(given).all() and min(given) > 0 and max(given) < 2**31 and min(given[:2]) >= 1):
        raise BadScan(where, f"the {name} of its header gives no positive matrix and field of view", FIX)
    n_z = int(size["z"]) if 1 <= size["z"] < 2**31 else 1
    return Space((round(size["y"]), round(size["x"])), (length["y"], length["x"]), n_z, length["z"])


def _number(text: str | None) -> float:
    """The number that an element holds; NaN where it holds none."""
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def _repetition_time_ms(root: ET.Element) -> float | None:
    time = _number(root.findtext("sequenceParameters/TR"))
    return time if 0 < time < np.inf else None


def _noise_bandwidth(root: ET.Element) -> float | None:
    share = _number(root.findtext("acquisitionSystemInformation/relativeReceiverNoiseBandwidth"))
    return share if 0 < share <= 1 else None


def _parameter(root: ET.Element, name: str) -> float:
    for parameter in root.iterfind("userParameters/userParameterLong"):
        if parameter.findtext("name") == name:
            return _number(parameter.findtext("value"))
    return float("nan")


def _assumed(root: ET.Element) -> tuple[str, ...]:
    texts = root.findall("userParameters/userParameterString")
    told = [(text.findtext("value") or "").split() for text in texts if text.findtext("name") == ASSUMED]
    return tuple(name for names in told for name in LEFT_OPEN if name in names)


def _ramp_sampled(encoding: ET.Element) -> bool:
    """By siemens_to_ismrmrd's description of an EPI: whether its samples take longer than the flat top."""
    told = {
        p.findtext("name"): _number(p.findtext("value"))
        for p in encoding.iterfind("trajectoryDescription/*")
        if p.find("name") is not None
    }
    return told.get("numSamples", 0) * told.get("dwellTime", 0) > told.get("flatTopTime", np.inf) * (1 + 1e-3)


def _say_what_the_schema_finds(document: Any, decisions: Decisions) -> None:
    """A note of what is not as the format has it, in the words of the format's own package."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of a value that is not what it should be
            ismrmrd.xsd.CreateFromDocument(document)
    except Exception as error:  # the parser raises of many kinds
        found = " ".join(str(error).split())[:LONGEST_TOLD]
        note = f"its header is not as the format has it ({found}): what is used of it can be read"
        decisions.say(note, odd_header=found)
