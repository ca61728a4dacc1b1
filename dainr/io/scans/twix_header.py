"""The header of an ISMRMRD file from the protocol of a twix file.

Of what the protocol tells, the matrix and field of view with their oversampling, the kind of trajectory and the
repetition time are used. The centre of k-space is that of the readouts.
"""

from typing import Any

import ismrmrd

from dainr.errors import BadScan
from dainr.io.scans.twix_file import FIX, Measurement
from dainr.io.scans.twix_protocol import SLICE, Protocol

KINDS = {1: "cartesian", 2: "radial", 4: "spiral"}  # ucTrajectory
NO_REGRIDDING = 1  # alRegridMode
LARGEST = 2**16 - 1  # pixels that the format can count
PROTON_HZ = 63870000  # the format demands a frequency, which nothing here depends on


def ismrmrd_header(measurement: Measurement, notes: list[str]) -> Any:
    """The header of a measurement. Raises BadScan where it lacks a size, or lines are sampled on ramps."""
    protocol, xsd = Protocol(measurement), ismrmrd.xsd
    encoded, recon = _spaces(protocol, notes)
    n_lines = encoded.matrixSize.y
    step = xsd.limitType(minimum=0, maximum=n_lines - 1, center=_centre_line(measurement, n_lines))
    encoding = xsd.encodingType(
        encodedSpace=encoded,
        reconSpace=recon,
        encodingLimits=xsd.encodingLimitsType(kspace_encoding_step_1=step),
        trajectory=xsd.trajectoryType(_kind(protocol)),
    )
    return xsd.ismrmrdHeader(
        acquisitionSystemInformation=xsd.acquisitionSystemInformationType(systemVendor="SIEMENS"),
        experimentalConditions=xsd.experimentalConditionsType(H1resonanceFrequency_Hz=PROTON_HZ),
        encoding=[encoding],
        sequenceParameters=xsd.sequenceParametersType(TR=[(protocol.told("alTR", 0) or 0) * 1e-3]),
    )


def _spaces(protocol: Protocol, notes: list[str]) -> tuple[Any, Any]:
    """What was encoded, and what the image is."""
    n_base, thickness = protocol.needed("sKSpace", "lBaseResolution"), protocol.needed(*SLICE, "dThickness")
    fov_x, fov_y = protocol.needed(*SLICE, "dReadoutFOV"), protocol.needed(*SLICE, "dPhaseFOV")
    oversampling = protocol.flat("flReadoutOSFactor")
    if oversampling is None or oversampling < 1:
        notes.append("the protocol tells no readout oversampling: twofold assumed, as of every Siemens scanner")
        oversampling = 2.0
    n_lines = protocol.flat("iPEFTLength")
    if n_lines is not None and protocol.told("sKSpace", "uc2DInterpolation") == 1:
        n_lines /= 2
    n_lines = n_lines or protocol.needed("sKSpace", "lPhaseEncodingLines")
    sizes = n_base * oversampling, n_lines, n_base, n_base * fov_y / fov_x
    if not all(1 <= round(n) <= LARGEST for n in sizes):
        raise BadScan(protocol.where, f"its protocol tells of a matrix of {n_base:g} by {n_lines:g}", FIX)
    nx, ny, nx_image, ny_image = map(round, sizes)
    whole_y = fov_y * (1 + max(protocol.told("sKSpace", "dPhaseOversamplingForDialog") or 0, 0))
    return (
        _space(nx, ny, fov_x * oversampling, whole_y, thickness),
        _space(nx_image, ny_image, fov_x, fov_y, thickness),
    )


def _space(nx: int, ny: int, x: float, y: float, z: float) -> Any:
    xsd = ismrmrd.xsd
    return xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=nx, y=ny, z=1), fieldOfView_mm=xsd.fieldOfViewMm(x=x, y=y, z=z)
    )


def _kind(protocol: Protocol) -> str:
    """The kind of trajectory, as ISMRMRD calls it. Raises BadScan for an EPI that samples on ramps."""
    kind = KINDS.get(int(protocol.told("sKSpace", "ucTrajectory") or 1), "other")
    if kind != "cartesian" or (protocol.told("sFastImaging", "lEPIFactor") or 1) <= 1:
        return kind
    if (protocol.flat("alRegridMode") or NO_REGRIDDING) != NO_REGRIDDING:
        raise BadScan(protocol.where, "its EPI samples on the ramps of the gradient", "convert it to ISMRMRD")
    return "epi"


def _centre_line(measurement: Measurement, n_lines: int) -> int:
    """The line of the k-space centre, as the first image readout has it: in partial Fourier not the middle one."""
    of_images = (int(block.mdh.CenterLin) for block in measurement.readouts() if block.is_image_scan())
    return next(of_images, n_lines // 2)
