"""Files for the reader tests, written with the format's own package and never with the writers under test."""

from pathlib import Path
from typing import Any

import ismrmrd
import numpy as np

from dainr.scan import Scan

AFFINE = np.array([[-1.5, 0.2, 0.1, 40.0], [-0.2, -1.4, 0.3, 30.0], [0.1, 0.1, 9.0, -20.0], [0.0, 0.0, 0.0, 1.0]])


def random_complex(*shape: int, seed: int = 0) -> np.ndarray:
    """Complex standard normal numbers, single precision."""
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) + 1j * random.standard_normal(shape)).astype(np.complex64)


def small_scan(**changes: Any) -> Scan:
    """Two slices, three coils, six readouts of ten samples in three frames, every optional part filled."""
    random = np.random.default_rng(1)
    parts: dict[str, Any] = {
        "kspace": random_complex(2, 3, 6, 10),
        "trajectory": random.uniform(-0.5, 0.5, (2, 6, 10, 2)).astype(np.float32),
        "times": np.arange(12).reshape(2, 6) * 0.01,
        "matrix": (8, 12),
        "fov_mm": (160.0, 240.0),
        "slice_thickness_mm": 7.0,
        "affine": AFFINE,
        "frame": np.array([0, 0, 1, 1, 2, 2], np.int32),
        "phase": np.linspace(0, 0.9, 6, dtype=np.float32),
        "coil_maps": random_complex(2, 3, 8, 12, seed=2),
        "noise": random_complex(3, 40, seed=3),
        "reference": random.uniform(size=(2, 3, 8, 12)).astype(np.float32),
    }
    parts |= changes
    for name in ("frame", "phase"):  # the same for all slices, where they are given once
        if parts[name] is not None and parts[name].ndim == 1:
            parts[name] = np.broadcast_to(parts[name], (len(parts["kspace"]), len(parts[name])))
    return Scan(**parts)


def centred_fft(image: np.ndarray) -> np.ndarray:
    """The orthonormal transform of images whose centre, like that of the result, is index n // 2."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image, axes=axes), norm="ortho"), axes=axes)


def centred_ifft(kspace: np.ndarray) -> np.ndarray:
    """The inverse of `centred_fft`."""
    axes = (-2, -1)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=axes), norm="ortho"), axes=axes)


def fft_image(scan: Scan, index: int = 0, frame: int | None = None) -> np.ndarray:
    """Coil images of one fully sampled Cartesian frame; every cell of the grid must be measured exactly once."""
    mine = slice(None) if frame is None else scan.frame[index] == frame
    position = scan.trajectory[index][mine].astype(np.float64) * scan.matrix
    np.testing.assert_allclose(position, np.rint(position), atol=1e-4)
    row, column = (np.rint(position).astype(int) + np.array(scan.matrix) // 2).reshape(-1, 2).T
    assert sorted(zip(row, column, strict=True)) == list(np.ndindex(*scan.matrix))
    grid = np.zeros((scan.n_coils, *scan.matrix), np.complex128)
    grid[:, row, column] = scan.kspace[index][:, mine].reshape(scan.n_coils, -1)
    return centred_ifft(grid)


def exact_kspace(images: np.ndarray, trajectory: np.ndarray) -> np.ndarray:
    """The forward model of the conventions as a sum over all pixels: coil images to `coil readout sample`."""
    ny, nx = images.shape[-2:]
    y, x = np.meshgrid(np.arange(ny) - ny // 2, np.arange(nx) - nx // 2, indexing="ij")
    turn = trajectory[..., 0, None] * y.ravel() + trajectory[..., 1, None] * x.ravel()
    return np.einsum("rsp,cp->crs", np.exp(-2j * np.pi * turn), images.reshape(len(images), -1)) / np.sqrt(ny * nx)


def header(
    encoded: tuple[int, int],
    recon: tuple[int, int] | None = None,
    fov: tuple[float, float] = (240.0, 320.0),
    recon_fov: tuple[float, float] | None = None,
    kind: str = "cartesian",
    centre_line: int | None = None,
    thickness: float = 8.0,
    tr_ms: float | None = None,
    parameters: dict[str, int] | None = None,
) -> str:
    """An ISMRMRD header; pairs are (y, x), `parameters` those of the vendor's own."""
    xsd = ismrmrd.xsd

    def space(matrix: tuple[int, int], length: tuple[float, float]) -> Any:
        return xsd.encodingSpaceType(
            matrixSize=xsd.matrixSizeType(x=matrix[1], y=matrix[0], z=1),
            fieldOfView_mm=xsd.fieldOfViewMm(x=length[1], y=length[0], z=thickness),
        )

    limits = xsd.encodingLimitsType()
    if centre_line is not None:
        limits.kspace_encoding_step_1 = xsd.limitType(minimum=0, maximum=encoded[0] - 1, center=centre_line)
    encoding = xsd.encodingType(
        encodedSpace=space(encoded, fov),
        reconSpace=space(recon or encoded, recon_fov or fov),
        encodingLimits=limits,
        trajectory=xsd.trajectoryType(kind),
    )
    conditions = xsd.experimentalConditionsType(H1resonanceFrequency_Hz=63870000)
    document = xsd.ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])
    if tr_ms is not None:
        document.sequenceParameters = xsd.sequenceParametersType(TR=[tr_ms])
    if parameters is not None:
        longs = [xsd.userParameterLongType(name=name, value=value) for name, value in parameters.items()]
        document.userParameters = xsd.userParametersType(userParameterLong=longs)
    return xsd.ToXML(document)


def readout(
    data: np.ndarray, trajectory: np.ndarray | None = None, flags: tuple[int, ...] = (), stamp: int = 0, **fields: Any
) -> ismrmrd.Acquisition:
    """One acquisition `coil sample`; `fields` are counters of its idx, or fields of its own header."""
    points = None if trajectory is None else np.ascontiguousarray(trajectory, np.float32)
    acquisition = ismrmrd.Acquisition.from_array(np.ascontiguousarray(data, np.complex64), points)
    acquisition.acquisition_time_stamp = stamp
    for flag in flags:
        acquisition.set_flag(flag)
    for name, value in fields.items():
        if name in ("position", "read_dir", "phase_dir", "slice_dir"):
            getattr(acquisition, name)[:] = value
        else:
            setattr(acquisition.idx if hasattr(acquisition.idx, name) else acquisition, name, value)
    return acquisition


def lines(kspace: np.ndarray, **fields: Any) -> list[ismrmrd.Acquisition]:
    """Every line of Cartesian k-space `coil line sample`, numbered from 0."""
    return [readout(kspace[:, n], kspace_encode_step_1=n, **fields) for n in range(kspace.shape[1])]


def write_file(path: Path, document: str, acquisitions: list[ismrmrd.Acquisition], **arrays: np.ndarray) -> Path:
    """An ISMRMRD file of these acquisitions, with arrays beside them."""
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(document)
    for acquisition in acquisitions:
        dataset.append_acquisition(acquisition)
    for name, array in arrays.items():
        dataset.append_array(name, array)
    dataset.close()
    return path
