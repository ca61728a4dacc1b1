"""Where ISMRMRD slices lie: in which order, of how many orientations, and the affine of each.

Positions and directions are those of the first readout of a slice, in the patient's left-posterior-superior frame;
affines map to right-anterior-superior.
"""

import numpy as np
from jaxtyping import Float

from dainr.cine import ASIDE, PARALLEL, stacks
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_geometry import Geometry
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.patient_axes import LPS_TO_RAS

DIRECTIONS = "read_dir", "phase_dir", "slice_dir"
APART_MM = 0.5  # positions of one slice that differ by less are one
FEWEST_A_PLACE = 4  # readouts that make a place a slice of its own
UNEVEN = 0.05  # of a gap: gaps that differ by more are uneven
ALIKE_MM = 0.1  # lengths that differ by less are one
SHORTEST = 0.01  # that a direction may be, whose length says nothing
TURNED_BY = "siemens"  # whose directions assume the other sign of the Fourier transform


def by_slice(imaging: Readouts, pixel_mm: float, decisions: Decisions) -> list[Readouts]:
    """The readouts of each slice, by their numbers, and by their places where one number has several.

    Parallel slices are in the order of their positions along the normal; orientations in the order of their numbers.
    """
    numbers = imaging.counter("slice")
    parts = [part for number in np.unique(numbers) for part in _by_place(imaging.chosen(numbers == number), decisions)]
    if len(parts) == 1 or any(_directions(part) is None for part in parts):
        return parts
    order = _order(parts, ASIDE * pixel_mm)
    if order != list(range(len(parts))):
        numbered = [int(parts[index].counter("slice")[0]) for index in order]
        decisions.say(f"slices sorted by position: in the file they are numbered {numbered}", slice_order=numbered)
    return [parts[index] for index in order]


def planes_of(
    slices: list[Readouts], geometry: Geometry, vendor: str, decisions: Decisions
) -> Float[np.ndarray, "slice 4 4"] | None:
    """The (x, y, 0) -> RAS mm affine of every slice; None where no directions are stored."""
    turned = TURNED_BY in vendor.lower()
    places = [_plane(part, geometry, turned) for part in slices]
    planes = [plane for plane in places if plane is not None]
    if len(planes) < len(places):
        decisions.say("no orientation stored: the image is taken as axial at the origin")
        return None
    if turned:
        note = "directions of x and y turned round: Siemens means them for the other sign of the Fourier transform"
        decisions.say(note, directions_turned=True)
    result = np.array(planes)
    if len(result):
        _say_where(result, geometry.slice_thickness_mm, decisions)
    return result


def _by_place(part: Readouts, decisions: Decisions) -> list[Readouts]:
    """The readouts of one slice number, parted where they lie at a few places instead of one."""
    where = np.concatenate([part.head[name] for name in ("position", *DIRECTIONS)], axis=1).astype(np.float64)
    scale = np.array([APART_MM] * 3 + [PARALLEL] * 9)
    apart = np.abs(where - where[0]) > scale
    if not apart.any() or not np.isfinite(where).all():
        return [part]
    places, which, counts = np.unique(np.round(where / scale), axis=0, return_inverse=True, return_counts=True)
    number = int(part.counter("slice")[0])
    if len(places) * FEWEST_A_PLACE > len(part) or counts.min() < FEWEST_A_PLACE:
        decisions.say(f"the position of slice {number} changes while it is measured: the first is taken for all of it")
        return [part]
    decisions.say(
        f"readouts of slice number {number} lie at {len(places)} places: each is a slice", slices_by_position=True
    )
    first = [int(np.flatnonzero(which.ravel() == index)[0]) for index in range(len(places))]
    return [part.chosen(which.ravel() == index) for index in np.argsort(first)]


def _order(parts: list[Readouts], aside_mm: float) -> list[int]:
    """Slices view by view, those of a view by their positions along its normal."""
    directions = np.array([_directions(part) for part in parts])
    positions = np.array([part.head["position"][0] for part in parts], np.float64)
    views: list[list[int]] = []
    for index in range(len(parts)):
        for view in views:
            first, normal = view[0], directions[view[0]][:, 2]
            shift = positions[index] - positions[first]
            aside = np.linalg.norm(shift - normal * (normal @ shift))
            if np.abs(directions[index] - directions[first]).max() < PARALLEL and aside < aside_mm:
                view.append(index)
                break
        else:
            views.append([index])
    heights = {index: directions[view[0]][:, 2] @ positions[index] for view in views for index in view}
    return [index for view in views for index in sorted(view, key=lambda i: (round(heights[i] / ALIKE_MM), i))]


def _directions(part: Readouts) -> Float[np.ndarray, "3 3"] | None:
    """The directions of x, y and slice, as columns of length one; None where they or the position are none.

    Where those of x and y alone are stored, that of the slice stands on both.
    """
    directions = np.array([part.head[name][0] for name in DIRECTIONS], np.float64).T
    if not directions[:, 2].any():
        directions[:, 2] = np.cross(directions[:, 0], directions[:, 1])
    length = np.linalg.norm(directions, axis=0)
    if np.isfinite(length).all() and length.min() > SHORTEST:
        directions /= length
    square = np.allclose(np.linalg.norm(directions, axis=0), 1, atol=1e-2) and abs(np.linalg.det(directions)) >= 0.9
    return directions if square and np.isfinite(part.head["position"][0]).all() else None


def _plane(part: Readouts, geometry: Geometry, turned: bool) -> Float[np.ndarray, "4 4"] | None:
    directions = _directions(part)
    if directions is None:
        return None
    if turned:
        directions = directions * np.array([-1.0, -1.0, 1.0])
    ny, nx = geometry.matrix
    spacing = np.array([geometry.fov_mm[1] / nx, geometry.fov_mm[0] / ny, geometry.slice_thickness_mm])
    plane = np.eye(4)
    plane[:3, :3] = LPS_TO_RAS @ directions @ np.diag(spacing)
    centre = LPS_TO_RAS @ part.head["position"][0].astype(np.float64)
    plane[:3, 3] = centre - plane[:3, :3] @ np.array([nx // 2, ny // 2, 0.0])
    return plane


def _say_where(planes: Float[np.ndarray, "slice 4 4"], thickness_mm: float, decisions: Decisions) -> None:
    """Notes of slices that are no even stack, and the orientation of each for programs."""
    groups = stacks(planes)
    normals = planes[:, :3, 2] / np.linalg.norm(planes[:, :3, 2], axis=1, keepdims=True)
    view = [number for number, group in enumerate(groups) for _ in planes[group]]
    per_slice = [
        {"view": v, "normal": normal.round(4).tolist(), "corner_mm": plane[:3, 3].round(3).tolist()}
        for v, normal, plane in zip(view, normals, planes, strict=True)
    ]
    decisions.fields["orientation_per_slice"] = per_slice
    if len(groups) > 1:
        decisions.say(
            f"slices lie in {len(groups)} places or orientations that are no one stack: each is a view of its own"
        )
        decisions.fields["views"] = [list(range(len(planes)))[group] for group in groups]
    spacing = []
    for group in groups:
        gaps = np.diff(planes[group][:, :3, 3] @ normals[group.start])
        if not len(gaps):
            continue
        usual = float(np.median(gaps))
        spacing.append(round(usual, 3))
        which = "" if len(groups) == 1 else f" of slices {group.start} to {group.stop - 1}"
        if np.abs(gaps - usual).max() > max(UNEVEN * usual, ALIKE_MM):
            told = ", ".join(f"{gap:.4g}" for gap in gaps)
            decisions.say(f"gaps{which} are uneven ({told} mm): {usual:.4g} mm is taken for all", uneven_gaps=True)
        if usual < thickness_mm - ALIKE_MM:
            decisions.say(f"slices{which} overlap: {usual:.4g} mm apart, {thickness_mm:.4g} mm thick", overlap=True)
    if spacing:
        decisions.fields["slice_spacing_mm"] = spacing
