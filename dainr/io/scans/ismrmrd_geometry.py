"""Matrix and field of view of an ISMRMRD image, from the header."""

from dataclasses import dataclass, replace

import numpy as np

from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_header import Header, Space

CARTESIAN = ("cartesian", "epi")  # whose readouts are lines
LEAST_PIXEL_MM, LARGEST_PIXEL_MM = 0.05, 20.0
METRE_MM = 1e3
LARGEST_IN_METRES = 2.0  # a field of view below it could be one in metres
LEAST_FOV_MM = 10.0  # that a guess of metres may give
THICKEST_IN_METRES = 0.1
LEAST_ENCODED, MOST_ENCODED = 0.4, 8.0  # times the field of view of the image


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
    band: float = 1.0  # share of the readouts' bandwidth that is left without their oversampling


def read_geometry(header: Header, spokes: bool, where: str, decisions: Decisions) -> Geometry:
    """The geometry in an ISMRMRD header; `spokes`: readouts are some, whatever it calls them.

    Raises BadScan where its lengths describe no image of a body.
    """
    encoded = _in_mm(header.encoded, "encoded", where, decisions)
    recon = _in_mm(header.recon, "reconstructed", where, decisions)
    _check_agreement(encoded, recon, where)
    is_cartesian = header.trajectory in CARTESIAN and not spokes
    matrix, fov = _matrix_of_lines(encoded, recon, decisions) if is_cartesian else (recon.matrix, recon.fov_mm)
    for length, n in zip(fov, matrix, strict=True):
        if not LEAST_PIXEL_MM <= length / n <= LARGEST_PIXEL_MM * (1 + 1e-6):
            told = f"its header asks for pixels of {length / n:.3g} mm (field of view {length:g} mm, {n} pixels)"
            between = f"between {LEAST_PIXEL_MM:g} and {LARGEST_PIXEL_MM:g} mm"
            raise BadScan(where, told, f"correct fieldOfView_mm and matrixSize: pixels are {between}")
    thickness, assumed = recon.fov_z_mm / recon.n_z, header.assumed
    if 0 < thickness < THICKEST_IN_METRES:
        decisions.say(
            f"slice thickness read in metres: {thickness:g} is {METRE_MM * thickness:g} mm", thickness_unit="m"
        )
        thickness *= METRE_MM
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


def _check_agreement(encoded: Space, recon: Space, where: str) -> None:
    """Raises BadScan where one field of view must be in another unit than the other, such as cm."""
    ratios = [one / other for one, other in zip(encoded.fov_mm, recon.fov_mm, strict=True)]
    if min(ratios) < LEAST_ENCODED or max(ratios) > MOST_ENCODED:
        sizes = [f"{space.fov_mm[0]:g} x {space.fov_mm[1]:g} mm" for space in (encoded, recon)]
        told = f"its header tells a field of view of {sizes[0]} encoded and {sizes[1]} of the image (y x x)"
        raise BadScan(where, told, "correct fieldOfView_mm in its header: both are in mm")


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
