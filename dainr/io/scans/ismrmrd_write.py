"""Writing a scan as ISMRMRD: every readout with its trajectory, noise and calibration as such, frames in idx.phase.

What ISMRMRD has no place for (coil maps, cardiac phases, density weights, a reference) goes beside the acquisitions as
arrays of those names. Readouts that are set aside are left out, and cardiac phases and weights with them.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype, acquisition_header_dtype

from dainr.errors import BadScan
from dainr.io.hdf5 import new_sink, write_whole
from dainr.io.scans.ismrmrd_build import BESIDE
from dainr.io.scans.ismrmrd_header import ASSUMED
from dainr.io.scans.ismrmrd_times import TICK_S
from dainr.io.scans.patient_axes import placement
from dainr.scan import Scan

GROUP = "dataset"
OF_READOUTS = ("phase", "density")  # arrays that fit the file only where all readouts are in it
LONGEST_READOUT = 2**15  # samples: the format counts them in 16 bits
LARGEST_COUNTER = 2**16 - 1
WRITTEN_AT_A_TIME = 1024


def write_ismrmrd(scan: Scan, path: Path, partitions: bool = False) -> None:
    """Write a scan as an ISMRMRD file; the file appears only once it is complete.

    With `partitions` its slices become those along kz, as a stack of stars is measured. Times start at zero and are
    kept to the tick of 2.5 ms in which the format counts them. Raises BadScan for a reference of another size than the
    scan's.
    """
    if scan.reference is not None and not _fits(scan.reference.shape, scan):
        wanted = f"{scan.n_slices}, frame, {scan.matrix[0]}, {scan.matrix[1]}"
        raise BadScan(scan.name, f"its reference has shape {scan.reference.shape}", f"store it as {wanted}")
    if partitions:
        scan = scan.changed(kspace=_along_kz(scan.kspace))
    with write_whole(path, scan.kspace.nbytes) as temporary, new_sink(temporary) as sink:
        with closing(ismrmrd.Dataset(sink, GROUP)) as dataset:
            dataset.write_xml_header(ismrmrd.xsd.ToXML(_header(scan, partitions)))
            for name in BESIDE:
                array = getattr(scan, name)
                if array is not None and (name not in OF_READOUTS or scan.used.all()):
                    dataset.append_array(name, np.ascontiguousarray(array))
        sink.check()
        with h5py.File(sink, "r+") as file:
            stored = file[GROUP].create_dataset("data", (0,), maxshape=(None,), dtype=acquisition_dtype)
            acquisitions = _acquisitions(scan, partitions)
            while rows := [row(a) for a in islice(acquisitions, WRITTEN_AT_A_TIME)]:
                stored.resize(len(stored) + len(rows), axis=0)
                stored[-len(rows) :] = np.array(rows, acquisition_dtype)


def _fits(shape: tuple[int, ...], scan: Scan) -> bool:
    return len(shape) == 4 and (shape[0], *shape[2:]) == (scan.n_slices, *scan.matrix)


def _along_kz(kspace: np.ndarray) -> np.ndarray:
    """Partitions of slices: the orthonormal transform along the first axis, both centres at n // 2."""
    shifted = np.fft.ifftshift(kspace, axes=0)
    return np.fft.fftshift(np.fft.fft(shifted, axis=0, norm="ortho"), axes=0).astype(np.complex64)


def _acquisitions(scan: Scan, partitions: bool) -> Iterator[Any]:
    """The noise and the calibration, as measurements of those, and every readout that is used."""
    if scan.noise is not None:
        for start in range(0, scan.noise.shape[1], LONGEST_READOUT):
            yield _noise(scan.noise[:, start : start + LONGEST_READOUT])
    for index, readout in np.ndindex(*(0, 0) if scan.calibration is None else scan.calibration[:, 0, :, 0].shape):
        yield _calibrating(scan, index, readout)
    places = _places(scan)
    last = [np.flatnonzero(used)[-1] if used.any() else -1 for used in scan.used]  # readout of each slice
    for index, readout in np.argwhere(scan.used).tolist():
        acquisition = _acquisition(scan, index, readout)
        if readout == last[index] and (not partitions or index == scan.n_slices - 1):
            acquisition.set_flag(ismrmrd.ACQ_LAST_IN_SLICE)
        place = index
        if partitions:
            acquisition.idx.slice, acquisition.idx.kspace_encode_step_2, place = 0, index, scan.n_slices // 2
        if places is not None:
            acquisition.position[:] = places[place][0]
            acquisition.read_dir[:], acquisition.phase_dir[:], acquisition.slice_dir[:] = places[place][1]
        yield acquisition


def _places(scan: Scan) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Centre and directions of every slice, where they are known."""
    if scan.planes is not None:
        return [placement(plane, scan.matrix) for plane in scan.planes]
    if scan.affine is None:
        return None
    centre, directions = placement(scan.affine, scan.matrix)
    step = directions[2] * np.linalg.norm(scan.affine[:3, 2])
    return [(centre + index * step, directions) for index in range(scan.n_slices)]


def row(acquisition: Any) -> tuple[np.void, np.ndarray, np.ndarray]:
    """An acquisition as its file stores it; the library, which writes each by itself, takes 4 ms for it."""
    head = np.frombuffer(acquisition.getHead(), acquisition_header_dtype)[0]
    return head, acquisition.traj.ravel(), acquisition.data.view(np.float32).ravel()


def _header(scan: Scan, partitions: bool) -> Any:
    xsd = ismrmrd.xsd
    ny, nx = scan.matrix
    fov_y, fov_x = scan.fov_mm
    nz = scan.n_slices if partitions else 1
    space = {
        "matrixSize": xsd.matrixSizeType(x=nx, y=ny, z=nz),
        "fieldOfView_mm": xsd.fieldOfViewMm(x=fov_x, y=fov_y, z=nz * scan.slice_thickness_mm),
    }
    last = min(scan.n_readouts - 1, LARGEST_COUNTER)
    limits = xsd.encodingLimitsType(
        kspace_encoding_step_1=xsd.limitType(minimum=0, maximum=last, center=(last + 1) // 2),
        kspace_encoding_step_2=xsd.limitType(minimum=0, maximum=nz - 1, center=nz // 2),
        slice=xsd.limitType(minimum=0, maximum=0 if partitions else scan.n_slices - 1, center=0),
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
    texts = [xsd.userParameterStringType(name=ASSUMED, value=" ".join(scan.assumed))] if scan.assumed else []
    return xsd.ismrmrdHeader(
        acquisitionSystemInformation=system,
        experimentalConditions=conditions,
        encoding=[encoding],
        userParameters=xsd.userParametersType(userParameterString=texts) if texts else None,
    )


def _noise(noise: np.ndarray) -> Any:
    acquisition = ismrmrd.Acquisition.from_array(np.ascontiguousarray(noise, np.complex64))
    acquisition.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    return acquisition


def _calibrating(scan: Scan, index: int, readout: int) -> Any:
    assert scan.calibration is not None and scan.calibration_trajectory is not None
    data = np.ascontiguousarray(scan.calibration[index, :, readout])
    trajectory = np.ascontiguousarray(scan.calibration_trajectory[index, readout, :, ::-1], dtype=np.float32)
    acquisition = ismrmrd.Acquisition.from_array(data, trajectory)
    acquisition.set_flag(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)
    acquisition.idx.slice, acquisition.idx.kspace_encode_step_1 = index, min(readout, LARGEST_COUNTER)
    return acquisition


def _acquisition(scan: Scan, index: int, readout: int) -> Any:
    data = np.ascontiguousarray(scan.kspace[index, :, readout])
    trajectory = np.ascontiguousarray(scan.trajectory[index, readout, :, ::-1], dtype=np.float32)  # kx, ky
    acquisition = ismrmrd.Acquisition.from_array(data, trajectory)
    radius = np.hypot(trajectory[:, 0], trajectory[:, 1])
    acquisition.center_sample = int(np.argmin(radius))
    acquisition.idx.slice = index
    acquisition.idx.kspace_encode_step_1 = min(readout, LARGEST_COUNTER)
    if scan.frame is not None:
        acquisition.idx.phase = int(scan.frame[index, readout])
    acquisition.acquisition_time_stamp = round(float(scan.times[index, readout] - scan.times.min()) / TICK_S)
    acquisition.scan_counter = index * scan.n_readouts + readout
    return acquisition
