"""Writing a scan as ISMRMRD: every readout with its trajectory, noise as a noise measurement, frames in idx.phase.

What ISMRMRD has no place for (coil maps, cardiac phases, a reference) goes beside the acquisitions as arrays of those
names. Readouts that are set aside are left out, and cardiac phases with them.
"""

from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np

from dainr.io.hdf5 import write_whole
from dainr.io.ismrmrd import TICK_S
from dainr.io.ismrmrd_geometry import placement
from dainr.scan import SET_ASIDE, Scan

GROUP = "dataset"
LONGEST_READOUT = 2**15  # samples: the format counts them in 16 bits


def write_ismrmrd(scan: Scan, path: Path) -> None:
    """Write a scan as an ISMRMRD file; the file appears only once it is complete.

    Times start at zero and are kept to the tick of 2.5 ms in which the format counts them.
    """
    with write_whole(path) as temporary:
        temporary.unlink()
        dataset = ismrmrd.Dataset(str(temporary), GROUP, create_if_needed=True)
        try:
            dataset.write_xml_header(ismrmrd.xsd.ToXML(_header(scan)))
            if scan.noise is not None:
                for start in range(0, scan.noise.shape[1], LONGEST_READOUT):
                    dataset.append_acquisition(_noise(scan.noise[:, start : start + LONGEST_READOUT]))
            nowhere = np.zeros(3), np.zeros((3, 3))
            position, directions = nowhere if scan.affine is None else placement(scan.affine, scan.matrix)
            used = np.full((scan.n_slices, scan.n_readouts), True) if scan.frame is None else scan.frame != SET_ASIDE
            for index, readout in np.argwhere(used).tolist():
                dataset.append_acquisition(_acquisition(scan, index, readout, position, directions))
            for name in ("coil_maps", "phase", "reference"):
                array = getattr(scan, name)
                if array is not None and (name != "phase" or used.all()):
                    dataset.append_array(name, np.ascontiguousarray(array))
        finally:
            dataset.close()


def _header(scan: Scan) -> Any:
    xsd = ismrmrd.xsd
    ny, nx = scan.matrix
    fov_y, fov_x = scan.fov_mm
    space = {
        "matrixSize": xsd.matrixSizeType(x=nx, y=ny, z=1),
        "fieldOfView_mm": xsd.fieldOfViewMm(x=fov_x, y=fov_y, z=scan.slice_thickness_mm),
    }
    limits = xsd.encodingLimitsType(
        kspace_encoding_step_1=xsd.limitType(minimum=0, maximum=scan.n_readouts - 1, center=scan.n_readouts // 2),
        slice=xsd.limitType(minimum=0, maximum=scan.n_slices - 1, center=0),
        phase=xsd.limitType(minimum=0, maximum=max(scan.n_frames - 1, 0), center=0),
    )
    encoding = xsd.encodingType(
        encodedSpace=xsd.encodingSpaceType(**space),
        reconSpace=xsd.encodingSpaceType(**space),
        encodingLimits=limits,
        trajectory=xsd.trajectoryType.OTHER,
    )
    system = xsd.acquisitionSystemInformationType(receiverChannels=scan.n_coils)
    # proton frequency at 1.5 T: the format demands one and a scan does not keep it
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63870000)
    return xsd.ismrmrdHeader(
        acquisitionSystemInformation=system, experimentalConditions=conditions, encoding=[encoding]
    )


def _noise(noise: np.ndarray) -> Any:
    acquisition = ismrmrd.Acquisition.from_array(np.ascontiguousarray(noise, np.complex64))
    acquisition.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    return acquisition


def _acquisition(scan: Scan, index: int, readout: int, position: np.ndarray, directions: np.ndarray) -> Any:
    data = np.ascontiguousarray(scan.kspace[index, :, readout])
    trajectory = np.ascontiguousarray(scan.trajectory[index, readout, :, ::-1], dtype=np.float32)  # kx, ky
    acquisition = ismrmrd.Acquisition.from_array(data, trajectory)
    radius = np.hypot(trajectory[:, 0], trajectory[:, 1])
    acquisition.center_sample = int(np.argmin(radius))
    acquisition.idx.slice = index
    acquisition.idx.kspace_encode_step_1 = readout
    if scan.frame is not None:
        acquisition.idx.phase = int(scan.frame[index, readout])
    acquisition.acquisition_time_stamp = round(float(scan.times[index, readout] - scan.times.min()) / TICK_S)
    acquisition.scan_counter = index * scan.n_readouts + readout
    if scan.affine is not None:
        acquisition.position[:] = position + index * directions[2] * np.linalg.norm(scan.affine[:3, 2])
        acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = directions
    return acquisition
