"""MRD version 2 streams (https://ismrmrd.github.io/mrd), read by mrd-python: their content is that of ISMRMRD files."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from dainr.errors import BadScan, MissingBackend
from dainr.io.scans import ismrmrd as ismrmrd_files
from dainr.io.scans.options import ReadOptions
from dainr.scan import Scan

NAME = "an MRD version 2 stream"
TAKES = ismrmrd_files.TAKES - {"dataset"}
MAGIC, PROTOCOL, LOOKED_AT = b"yardl", b'"name":"Mrd"', 256
LINE, PARTITION = "kspace_encode_step_1", "kspace_encode_step_2"
IN_IDX = (LINE, PARTITION, "average", "slice", "contrast", "phase", "repetition", "set", "segment")
IN_HEAD = (
    *("measurement_uid", "scan_counter", "acquisition_time_stamp", "discard_pre", "discard_post", "center_sample"),
    *("encoding_space_ref", "sample_time_us"),
)
PROTON_HZ = 63870000  # ISMRMRD demands a frequency, which nothing here depends on
PLACES = ("position", "read_dir", "phase_dir", "slice_dir")
DAMAGE = (
    *(OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError),
    *(ArithmeticError, EOFError, BufferError),
)


def recognises(path: Path) -> bool:
    """Whether the file begins as a stream of that protocol."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    return start.startswith(MAGIC) and PROTOCOL in start


def read(path: Path, options: ReadOptions = ReadOptions()) -> Scan:
    """The scan in an MRD stream. Raises MissingBackend without mrd-python, BadScan when damaged and as `build_scan`."""
    if importlib.util.find_spec("mrd") is None:
        raise MissingBackend(str(path), "reading MRD streams needs mrd-python", 'run: pip install "dainr[mrd]"')
    import mrd

    from dainr.io.scans.ismrmrd_build import build_scan

    try:
        with path.open("rb") as file, mrd.BinaryMrdReader(file) as stream:
            header = _header(stream.read_header())
            items = (item.value for item in stream.read_data())
            acquisitions = [_acquisition(item) for item in items if isinstance(item, mrd.Acquisition)]
    except DAMAGE as error:
        raise BadScan(str(path), f"its MRD stream cannot be read ({error})", "copy or export it again") from error
    return build_scan(header, acquisitions, str(path), options=options)


def _header(theirs: Any) -> Any:
    """What is used of the header, as ISMRMRD's, whose parts have the same names."""
    import ismrmrd

    xsd, encodings = ismrmrd.xsd, []
    for one in theirs.encoding[:1]:
        parts: dict[str, Any] = {"trajectory": xsd.trajectoryType(one.trajectory.name.lower())}
        for name, space in (("encodedSpace", one.encoded_space), ("reconSpace", one.recon_space)):
            size, length = (
                xsd.matrixSizeType(**vars(space.matrix_size)),
                xsd.fieldOfViewMm(**vars(space.field_of_view_mm)),
            )
            parts[name] = xsd.encodingSpaceType(matrixSize=size, fieldOfView_mm=length)
        step = one.encoding_limits and one.encoding_limits.kspace_encoding_step_1
        limit = xsd.limitType(**vars(step)) if step else None
        encodings.append(xsd.encodingType(**parts, encodingLimits=xsd.encodingLimitsType(kspace_encoding_step_1=limit)))
    system, sequence = theirs.acquisition_system_information, theirs.sequence_parameters
    return xsd.ismrmrdHeader(
        acquisitionSystemInformation=system
        and xsd.acquisitionSystemInformationType(
            systemVendor=system.system_vendor, relativeReceiverNoiseBandwidth=system.relative_receiver_noise_bandwidth
        ),
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=PROTON_HZ),
        encoding=encodings,
        sequenceParameters=sequence and xsd.sequenceParametersType(TR=[float(time) for time in sequence.t_r]),
    )


def _acquisition(theirs: Any) -> Any:
    """One readout; what the stream leaves out is zero."""
    import ismrmrd

    points = np.ascontiguousarray(theirs.trajectory.T, np.float32) if theirs.trajectory.size else None
    made = ismrmrd.Acquisition.from_array(np.ascontiguousarray(theirs.data, np.complex64), points)
    made.flags = int(theirs.head.flags)
    for names, source, target in ((IN_IDX, theirs.head.idx, made.idx), (IN_HEAD, theirs.head, made)):
        for name in names:
            setattr(target, name, getattr(source, name) or 0)
    for name in PLACES:
        getattr(made, name)[:] = getattr(theirs.head, name)
    stamps, user = theirs.head.physiology_time_stamp[:3], theirs.head.idx.user[:8]
    made.physiology_time_stamp[: len(stamps)], made.idx.user[: len(user)] = stamps, user
    return made
