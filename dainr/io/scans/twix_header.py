"""The header of an ISMRMRD file from the protocol of a twix file.

Of what the protocol tells, the matrix and field of view with their oversampling, the kind of trajectory and the
repetition time are used. The centre of k-space is that of the readouts.
"""

from typing import Any

import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.scans.twix_file import FIX, Measurement

KINDS = {1: "cartesian", 2: "radial", 4: "spiral"}  # ucTrajectory
NO_REGRIDDING = 1  # alRegridMode
PROTON_HZ_T = 42.577e6


def ismrmrd_header(measurement: Measurement, notes: list[str]) -> Any:
    """The header of a measurement. Raises BadScan where it lacks a size, or lines are sampled on ramps."""
    protocol = Protocol(measurement)
    n_base, fov_x = protocol.number("sKSpace", "lBaseResolution"), protocol.of_slice("dReadoutFOV")
    fov_y, thickness = protocol.of_slice("dPhaseFOV"), protocol.of_slice("dThickness")
    if min(n_base, fov_x, fov_y, thickness) <= 0:
        raise BadScan(measurement.where, "its protocol gives no matrix, field of view or slice thickness", FIX)
    kind = KINDS.get(int(protocol.number("sKSpace", "ucTrajectory", default=1)), "other")
    if protocol.number("sFastImaging", "lEPIFactor", default=1) > 1 and kind == "cartesian":
        kind = "epi"
        if (np.atleast_1d(protocol.flat("alRegridMode", NO_REGRIDDING))[:1] != NO_REGRIDDING).any():
            raise BadScan(measurement.where, "its EPI samples on the ramps of the gradient", "convert it to ISMRMRD")
    oversampling = protocol.flat("flReadoutOSFactor", None)
    if oversampling is None:
        notes.append("the protocol tells no readout oversampling: twofold assumed, as of every Siemens scanner")
        oversampling = 2.0
    n_lines = protocol.flat("iPEFTLength", None) or protocol.number("sKSpace", "lPhaseEncodingLines")
    if protocol.number("sKSpace", "uc2DInterpolation", default=0) == 1 and protocol.flat("iPEFTLength", None):
        n_lines /= 2
    n_lines = max(int(n_lines), 1)
    whole_y = fov_y * (1 + protocol.number("sKSpace", "dPhaseOversamplingForDialog", default=0))
    encoded = _space(round(n_base * oversampling), n_lines, fov_x * oversampling, whole_y, thickness)
    recon = _space(round(n_base), round(n_base * fov_y / fov_x), fov_x, fov_y, thickness)
    xsd = ismrmrd.xsd
    step = xsd.limitType(minimum=0, maximum=n_lines - 1, center=_centre_line(measurement, n_lines))
    limits = xsd.encodingLimitsType(kspace_encoding_step_1=step)
    encoding = xsd.encodingType(
        encodedSpace=encoded, reconSpace=recon, encodingLimits=limits, trajectory=xsd.trajectoryType(kind)
    )
    times_us = protocol.yaps.get("alTR") or [0]
    return xsd.ismrmrdHeader(
        experimentalConditions=xsd.experimentalConditionsType(
            H1resonanceFrequency_Hz=round(PROTON_HZ_T * float(protocol.flat("flMagneticFieldStrength", 1.5)))
        ),
        encoding=[encoding],
        sequenceParameters=xsd.sequenceParametersType(TR=[float(times_us[0]) * 1e-3]),
    )


class Protocol:
    """What a protocol says, by the names of Siemens."""

    def __init__(self, measurement: Measurement) -> None:
        parts = measurement.protocol
        self.where = measurement.where
        self.yaps: dict[str, Any] = parts.get("MeasYaps") or parts.get("Phoenix") or {}
        self._flat = {**parts.get("Dicom", {}), **parts.get("Meas", {})}

    def flat(self, name: str, default: Any) -> Any:
        """A value of the part that has no branches, where it holds one."""
        value = self._flat.get(name)
        return default if value in (None, "", []) else value

    def number(self, branch: str, name: str, default: float | None = None) -> float:
        """A number in a branch of the protocol. Raises BadScan where it must be there and is not."""
        return self._number(self.yaps.get(branch, {}).get(name, default), f"{branch}.{name}")

    def of_slice(self, name: str) -> float:
        """A length of the first slice, mm. Raises BadScan where it is not there."""
        slices = self.yaps.get("sSliceArray", {}).get("asSlice") or [{}]
        return self._number(slices[0].get(name), name)

    def _number(self, value: Any, name: str) -> float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number):
            raise BadScan(self.where, f"its protocol tells no {name}", FIX)
        return number


def _space(nx: int, ny: int, x: float, y: float, z: float) -> Any:
    xsd = ismrmrd.xsd
    return xsd.encodingSpaceType(
        matrixSize=xsd.matrixSizeType(x=nx, y=ny, z=1), fieldOfView_mm=xsd.fieldOfViewMm(x=x, y=y, z=z)
    )


def _centre_line(measurement: Measurement, n_lines: int) -> int:
    """The line of the k-space centre, as the first image readout has it: in partial Fourier not the middle one."""
    of_images = (int(block.mdh.CenterLin) for block in measurement.readouts() if block.is_image_scan())
    return next(of_images, n_lines // 2)
