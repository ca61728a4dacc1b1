"""Matrix, field of view and place of an ISMRMRD image: from the header, and from the first readout of every slice.

ISMRMRD directions and positions are in the patient's left-posterior-superior frame, affines in right-anterior-superior.
"""

from dataclasses import dataclass, replace

import numpy as np

from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_header import Header, Space
from dainr.io.scans.ismrmrd_readouts import Readouts

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
CARTESIAN = ("cartesian", "epi")  # whose readouts are lines
LEAST_PIXEL_MM, LARGEST_PIXEL_MM = 0.05, 20.0
METRE_MM = 1e3
LARGEST_IN_METRES = 2.0  # a field of view below it could be one in metres
LEAST_FOV_MM = 10.0  # that a guess of metres may give
THICKEST_IN_METRES = 0.1


@dataclass(frozen=True)
class Geometry:
    """The encoding of one ISMRMRD file; pairs are (y, x)."""

    is_cartesian: bool
    encoded: Space
    recon: Space
    matrix: tuple[int, int]
    fov_mm: tuple[float, float]
    slice_thickness_mm: float
    assumed: tuple[str, ...]  # which lengths and times nobody said, as in Scan


def read_geometry(header: Header, spokes: bool, where: str, decisions: Decisions) -> Geometry:
    """The geometry in an ISMRMRD header; `spokes`: readouts are some, whatever it calls them.

    Raises BadScan where its lengths describe no image of a body.
    """
    encoded = _in_mm(header.encoded, "encoded", where, decisions)
    recon = _in_mm(header.recon, "reconstructed", where, decisions)
    is_cartesian = header.trajectory in CARTESIAN and not spokes
    matrix, fov = _matrix_of_lines(encoded, recon, decisions) if is_cartesian else (recon.matrix, recon.fov_mm)
    for length, n in zip(fov, matrix, strict=True):
        if not LEAST_PIXEL_MM <= length / n <= LARGEST_PIXEL_MM * (1 + 1e-6):
            told = f"its header asks for pixels of {length / n:.3g} mm (field of view {length:g} mm, {n} pixels)"
            between = f"between {LEAST_PIXEL_MM:g} and {LARGEST_PIXEL_MM:g} mm"
            raise BadScan(where, told, f"correct fieldOfView_mm and matrixSize: pixels are {between}")
    thickness, assumed = recon.fov_z_mm / recon.n_z, header.assumed
    if not 0 < thickness < np.inf:
        thickness, assumed = 1.0, (*assumed, "slice_mm")
    return Geometry(is_cartesian, encoded, recon, matrix, fov, thickness, assumed)


def _in_mm(space: Space, name: str, where: str, decisions: Decisions) -> Space:
    """The space with lengths in mm, where its own can only be in metres."""
    if max(space.fov_mm) >= LARGEST_IN_METRES or min(space.pixel_mm) >= LEAST_PIXEL_MM:
        return space
    y, x = (METRE_MM * length for length in space.fov_mm)
    z = METRE_MM * space.fov_z_mm if space.fov_z_mm < THICKEST_IN_METRES * space.n_z else space.fov_z_mm
    in_mm = replace(space, fov_mm=(y, x), fov_z_mm=z)
    if min(y, x) < LEAST_FOV_MM or not LEAST_PIXEL_MM <= min(in_mm.pixel_mm) <= max(in_mm.pixel_mm) <= LARGEST_PIXEL_MM:
        told = f"the {name} field of view of its header, {space.fov_mm[1]:g} x {space.fov_mm[0]:g}, is none in mm or m"
        raise BadScan(where, told, "correct fieldOfView_mm in its header")
    note = f"{name} field of view read in metres: {space.fov_mm[0]:g} x {space.fov_mm[1]:g} is {y:g} x {x:g} mm (y, x)"
    decisions.say(note, fov_unit="m")
    return in_mm


def _matrix_of_lines(encoded: Space, recon: Space, decisions: Decisions) -> tuple[tuple[int, int], tuple[float, float]]:
    """The phase direction keeps the encoded field of view: lines off the grid of a cropped one would alias.

    It also keeps the encoded resolution, where that is finer than the image's.
    """
    (ny, nx), (fov_y, fov_x) = recon.matrix, recon.fov_mm
    kept = max(round(encoded.fov_mm[0] * ny / fov_y), encoded.matrix[0])
    if kept != ny:
        what = "lines" if kept == encoded.matrix[0] else "phase oversampling"
        decisions.say(f"{what} kept: {kept} instead of {ny} pixels in y")
    return (kept, nx), (encoded.fov_mm[0], fov_x)


def slice_affine(slices: list[Readouts], geometry: Geometry, decisions: Decisions) -> np.ndarray | None:
    """The (x, y, slice) -> RAS mm affine from the first readout of every slice; None where no directions are stored."""
    firsts = [readouts.head[0] for readouts in slices]
    first = firsts[0]
    directions = np.array([first[f"{axis}_dir"] for axis in ("read", "phase", "slice")], np.float64).T  # columns
    lengths = np.linalg.norm(directions, axis=0)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(np.linalg.det(directions)) < 0.9:
        decisions.say("no orientation stored: the image is taken as axial at the origin")
        return None
    ny, nx = geometry.matrix
    spacing = np.array([geometry.fov_mm[1] / nx, geometry.fov_mm[0] / ny, geometry.slice_thickness_mm])
    if len(firsts) > 1:
        shift = np.array(firsts[1]["position"], np.float64) - np.array(first["position"], np.float64)
        step = float(directions[:, 2] @ shift)
        if abs(step) > 1e-3:
            spacing[2] = step
    affine = np.eye(4)
    affine[:3, :3] = LPS_TO_RAS @ directions @ np.diag(spacing)
    centre = LPS_TO_RAS @ np.array(first["position"], np.float64)
    affine[:3, 3] = centre - affine[:3, :3] @ np.array([nx // 2, ny // 2, 0.0])
    return affine


def placement(affine: np.ndarray, matrix: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Centre of the first slice in mm and the directions of x, y and slice (rows), in LPS, of a RAS affine."""
    ny, nx = matrix
    columns = LPS_TO_RAS @ affine[:3, :3]
    centre = LPS_TO_RAS @ (affine @ np.array([nx // 2, ny // 2, 0.0, 1.0]))[:3]
    return centre, (columns / np.linalg.norm(columns, axis=0)).T
