"""Where an ISMRMRD image lies: matrix and field of view from the header, position and orientation from the readouts.

ISMRMRD directions and positions are in the patient's left-posterior-superior frame, affines in right-anterior-superior.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dainr.cine import LEFT_OPEN
from dainr.errors import BadScan

ASSUMED = "dainr_assumed"  # a parameter in the header of files that dainr writes
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Geometry:
    """The encoding of one ISMRMRD file; pairs are (y, x)."""

    is_cartesian: bool
    encoded: tuple[int, int]
    encoded_fov_mm: tuple[float, float]
    matrix: tuple[int, int]
    fov_mm: tuple[float, float]
    slice_thickness_mm: float
    centre_line: int
    repetition_time_s: float | None
    pilot_tone: bool  # a tone of the scanner's own disturbs the ends of readouts
    assumed: tuple[str, ...] = ()  # which lengths and times nobody said, as in Scan


def read_geometry(header: Any, where: str, notes: list[str]) -> Geometry:
    """The geometry in an ISMRMRD header. Raises BadScan when a size is missing or not positive."""
    encoding = header.encoding[0]
    encoded, recon = encoding.encodedSpace, encoding.reconSpace
    sizes = (encoded.matrixSize.x, encoded.matrixSize.y, recon.matrixSize.x, recon.matrixSize.y)
    lengths = (encoded.fieldOfView_mm.x, encoded.fieldOfView_mm.y, recon.fieldOfView_mm.x, recon.fieldOfView_mm.y)
    if min(sizes) < 1 or not (min(lengths) > 0 and np.isfinite(lengths).all()):
        raise BadScan(where, "its header gives no positive matrix and field of view", "export it with the full header")
    is_cartesian = encoding.trajectory is not None and encoding.trajectory.value == "cartesian"
    matrix, fov = (recon.matrixSize.y, recon.matrixSize.x), (recon.fieldOfView_mm.y, recon.fieldOfView_mm.x)
    if is_cartesian:
        matrix, fov = _cartesian_matrix(encoded, matrix, fov, notes)
    thickness = recon.fieldOfView_mm.z / max(recon.matrixSize.z, 1)
    assumed = _assumed(header)
    if not thickness > 0:
        assumed, thickness = (*assumed, "slice_mm"), 1.0
    return Geometry(
        is_cartesian=is_cartesian,
        encoded=(encoded.matrixSize.y, encoded.matrixSize.x),
        encoded_fov_mm=(encoded.fieldOfView_mm.y, encoded.fieldOfView_mm.x),
        matrix=matrix,
        fov_mm=fov,
        slice_thickness_mm=thickness,
        centre_line=_centre_line(encoding, encoded.matrixSize.y),
        repetition_time_s=_repetition_time(header),
        pilot_tone=_has_pilot_tone(header),
        assumed=assumed,
    )


def slice_affine(firsts: list[Any], geometry: Geometry, notes: list[str]) -> np.ndarray | None:
    """The (x, y, slice) -> RAS mm affine from the first readout of every slice; None where no directions are stored."""
    first = firsts[0]
    directions = np.array([first.read_dir, first.phase_dir, first.slice_dir], np.float64).T  # columns x, y, slice
    lengths = np.linalg.norm(directions, axis=0)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(np.linalg.det(directions)) < 0.9:
        notes.append("no orientation stored: the image is taken as axial at the origin")
        return None
    ny, nx = geometry.matrix
    spacing = np.array([geometry.fov_mm[1] / nx, geometry.fov_mm[0] / ny, geometry.slice_thickness_mm])
    if len(firsts) > 1:
        shift = np.array(firsts[1].position, np.float64) - np.array(first.position, np.float64)
        step = float(directions[:, 2] @ shift)
        if abs(step) > 1e-3:
            spacing[2] = step
    affine = np.eye(4)
    affine[:3, :3] = LPS_TO_RAS @ directions @ np.diag(spacing)
    centre = LPS_TO_RAS @ np.array(first.position, np.float64)
    affine[:3, 3] = centre - affine[:3, :3] @ np.array([nx // 2, ny // 2, 0.0])
    return affine


def placement(affine: np.ndarray, matrix: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Centre of the first slice in mm and the directions of x, y and slice (rows), in LPS, of a RAS affine."""
    ny, nx = matrix
    columns = LPS_TO_RAS @ affine[:3, :3]
    centre = LPS_TO_RAS @ (affine @ np.array([nx // 2, ny // 2, 0.0, 1.0]))[:3]
    return centre, (columns / np.linalg.norm(columns, axis=0)).T


def _cartesian_matrix(
    encoded: Any, matrix: tuple[int, int], fov: tuple[float, float], notes: list[str]
) -> tuple[tuple[int, int], tuple[float, float]]:
    """The phase direction keeps the encoded field of view: lines off the grid of a cropped one would alias.

    It also keeps the encoded resolution, where that is finer than the image's.
    """
    ny = max(round(encoded.fieldOfView_mm.y * matrix[0] / fov[0]), encoded.matrixSize.y)
    if ny == matrix[0]:
        return matrix, (encoded.fieldOfView_mm.y, fov[1])
    what = "lines" if ny == encoded.matrixSize.y else "phase oversampling"
    notes.append(f"{what} kept: {ny} instead of {matrix[0]} pixels in y")
    return (ny, matrix[1]), (encoded.fieldOfView_mm.y, fov[1])


def _centre_line(encoding: Any, encoded_ny: int) -> int:
    limits = encoding.encodingLimits.kspace_encoding_step_1 if encoding.encodingLimits else None
    return encoded_ny // 2 if limits is None else int(limits.center)


def _repetition_time(header: Any) -> float | None:
    parameters = header.sequenceParameters
    if parameters is None or not parameters.TR or not parameters.TR[0] > 0:
        return None
    return float(parameters.TR[0]) * 1e-3


def _assumed(header: Any) -> tuple[str, ...]:
    """What a file that dainr wrote calls assumed."""
    texts = header.userParameters.userParameterString if header.userParameters is not None else []
    return tuple(name for text in texts if text.name == ASSUMED for name in LEFT_OPEN if name in text.value.split())


def _has_pilot_tone(header: Any) -> bool:
    """As OCMR's files say it, by a parameter of that name."""
    parameters = header.userParameters
    return parameters is not None and any(p.name == "PilotTone" and p.value == 1 for p in parameters.userParameterLong)
