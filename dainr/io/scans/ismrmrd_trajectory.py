"""Stored ISMRMRD trajectories, and the unit they are in, which the format leaves open.

Every unit that is known turns the stored numbers into cycles per mm. The right one is that whose samples just reach the
edge of the k-space that the header tells, one over two pixels: those encoded first, then those of the image.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from dainr.errors import BadScan
from dainr.io.scans.decisions import Decisions
from dainr.io.scans.ismrmrd_geometry import Geometry
from dainr.io.scans.ismrmrd_oversampling import fills
from dainr.io.scans.ismrmrd_readouts import Readouts
from dainr.io.scans.options import TRAJECTORY_UNITS
from dainr.scan import K_MAX, K_TOLERANCE

REACHED, BEYOND = 0.9, 1.03  # of the edge: samples in the right unit end between the two
JUST_REACHED = 0.97  # in units per mm, whose numbers could as well be per pixel
ALIKE = 0.01  # units that differ by less are one
SQUARE = 0.03  # sides of pixels that differ by less are alike
FINER = 1.5  # times as fine as the image's, encoded pixels may be a mistake of the header
PROFILES_ALIKE = 0.1  # density weights of two readouts, relative to the largest

# What can be said of files without a trajectory, by the kind that the header tells
WAYS = {
    "goldenangle": "say --trajectory golden, or tiny-golden:N if its angles are small",
    "radial": "say how its spokes turn: --trajectory golden, tiny-golden:N or linear",
    "other": "export it with trajectories; if it is radial say --trajectory golden, tiny-golden:N or linear,"
    " if its readouts are Cartesian lines correct its header",
}

Pair = tuple[float, float]


@dataclass(frozen=True)
class Unit:
    """A unit of trajectories: cycles per mm of one of it, along y and x."""

    name: str
    cycles_per_mm: Pair


def read_trajectory(
    readouts: Readouts, geometry: Geometry, said: str | None, where: str, decisions: Decisions
) -> tuple[Float[np.ndarray, "readout sample 2"], Geometry]:
    """The trajectory (ky, kx) of all readouts, in cycles per pixel, and the geometry with the matrix that holds it.

    `said`: its unit, one of `options.TRAJECTORY_UNITS`, where the user said it. Raises BadScan where its unit
    cannot be told, where it is not finite, or has a third dimension.
    """
    stored = readouts.stacked_trajectory()
    if not np.isfinite(stored).all():
        raise BadScan(where, "its trajectory holds NaN or Inf", "export it again")
    _check_plane(stored, where, decisions)
    stored = stored[..., 1::-1]
    if said is None:
        unit = _unit(stored, readouts, geometry, where, decisions)
    else:
        units = [*_units(_encoded_pixel(geometry), geometry), *_per_mm()]
        unit = next(u for u in units if u.name == TRAJECTORY_UNITS[said])
    k = stored * np.array(unit.cycles_per_mm, np.float32)  # cycles per mm
    as_said = "" if said is None else ", as was said"
    decisions.say(f"trajectory read in {unit.name}{as_said}", trajectory_unit=unit.name)
    geometry = large_enough(k, geometry, decisions)
    pixel_mm = np.array(geometry.fov_mm) / np.array(geometry.matrix)
    return k * pixel_mm.astype(np.float32), geometry


def has_trajectory(readouts: Readouts, geometry: Geometry, kind: str, where: str, decisions: Decisions) -> bool:
    """Whether readouts have a trajectory of two components or more; one that is zero throughout is none.

    `kind`: the trajectory by the header's name. Raises BadScan where they need one.
    """
    stored = bool((readouts.head["trajectory_dimensions"] >= 2).all())
    zero = stored and not any(points.any() for points in readouts.trajectory)
    if stored and not zero:
        return True
    if not geometry.is_cartesian:
        why = "stores a trajectory of zeros" if zero else "stores no trajectory"
        raise BadScan(where, f"it is not Cartesian and {why}", WAYS.get(kind, "export it with trajectories"))
    if zero:
        decisions.say("its trajectory is zero throughout: lines are placed by their numbers", zero_trajectory=True)
    return False


def _check_plane(stored: np.ndarray, where: str, decisions: Decisions) -> None:
    """Raises BadScan where a third component is a third dimension, and is no density weight."""
    if stored.shape[-1] < 3 or np.ptp(stored[..., 2]) <= K_TOLERANCE:
        return
    if not _is_density(stored[..., 2]):
        raise BadScan(where, "its trajectory has a third, changing component", "reconstruct 2-D slices, one file each")
    decisions.say(
        "the third component of its trajectory is a density weight: left aside for the program's own",
        density_in_trajectory=True,
    )


def _is_density(third: Float[np.ndarray, "readout sample"]) -> bool:
    """Weights are never negative, change along a readout, and do so alike along all but for a factor; kz does not."""
    mean = third.mean(1, keepdims=True)
    if third.min() < 0 or not mean.all() or not np.ptp(third, axis=1).all():
        return False
    profiles = third / mean
    return bool(np.ptp(profiles, axis=0).max() <= PROFILES_ALIKE * profiles.max())


def _unit(
    stored: Float[np.ndarray, "readout sample 2"],
    readouts: Readouts,
    geometry: Geometry,
    where: str,
    decisions: Decisions,
) -> Unit:
    """The unit of a stored (ky, kx)."""
    encoded, recon = _encoded_pixel(geometry), geometry.recon.pixel_mm
    units = _units(encoded, geometry)
    size = np.abs(stored).max(axis=(0, 1)), stored
    fitting = [unit for pixel in (encoded, recon) for unit in units if _fits(unit, pixel, *size)]
    if not fitting:
        fitting = [u for pixel in (encoded, recon) for u in _per_mm() if _fits(u, pixel, *size, JUST_REACHED)]
    if fitting:
        first = fitting[0]
        others = [unit for unit in fitting[1:] if not _alike(unit, first)]
        if others and _finer(encoded, recon) and not fills(readouts.stacked(), recon[1] / encoded[1]):
            return others[0]
        return first
    largest = float(size[0].max())
    pixels, radians, *_ = units
    if largest <= K_MAX + K_TOLERANCE:
        unit = pixels
    elif largest > np.pi * BEYOND:
        unit = next(one for one in units if one.name == "cycles per field of view")
    elif largest > BEYOND:
        unit = radians
    else:
        told = f"its trajectory reaches {largest:.3g}, which is neither cycles per pixel nor normalised to 1"
        raise BadScan(where, told, "store it in cycles per pixel, from -0.5 to 0.5")
    decisions.say(
        f"the unit of its trajectory is not certain: in {unit.name}, it does not end at the edge of the k-space"
        " that the header tells",
        trajectory_unit_certain=False,
    )
    return unit


def _units(encoded: Pair, geometry: Geometry) -> list[Unit]:
    """The units that are known, the likeliest first."""
    kinds = [("encoded ", encoded, geometry.encoded.fov_mm), ("", geometry.recon.pixel_mm, geometry.recon.fov_mm)]
    if all(_close(one, other) for one, other in zip(encoded, geometry.recon.pixel_mm, strict=True)):
        kinds = kinds[::-1]
    units = []
    for kind, pixel, fov in kinds:
        units += [
            Unit(f"cycles per {kind}pixel", _per(pixel)),
            Unit(f"radians per {kind}pixel", _per(pixel, 2 * np.pi)),
            Unit(f"cycles per {kind}field of view", _per(fov)),
            Unit(f"half-widths of {kind}k-space, from -1 to 1", _per(pixel, 2)),
        ]
    return [*units, Unit("cycles per m", _per((1e3, 1e3))), Unit("radians per m", _per((1e3, 1e3), 2 * np.pi))]


def _per_mm() -> list[Unit]:
    """Units whose numbers are of the size of those per pixel: believed only where none of the others fits."""
    return [Unit("cycles per mm", _per((1, 1))), Unit("radians per mm", _per((1, 1), 2 * np.pi))]


def _per(length_mm: Pair, times: float = 1.0) -> Pair:
    return 1 / (times * length_mm[0]), 1 / (times * length_mm[1])


def _encoded_pixel(geometry: Geometry) -> Pair:
    """The encoded pixel: where only the image's is square, with the side of it that agrees with that, or that along x.

    Some converters write the number of spokes as lines, or oversampled readouts on the field of view of the image.
    """
    encoded, recon = geometry.encoded.pixel_mm, geometry.recon.pixel_mm
    if _close(*encoded) or not _close(*recon):
        return encoded
    side = encoded[0] if _close(encoded[0], recon[0]) else encoded[1]
    return side, side


def _close(one: float, other: float) -> bool:
    return abs(one / other - 1) <= SQUARE


def _finer(encoded: Pair, recon: Pair) -> bool:
    return recon[1] > FINER * encoded[1]


def _alike(one: Unit, other: Unit) -> bool:
    return all(abs(a / b - 1) <= ALIKE for a, b in zip(one.cycles_per_mm, other.cycles_per_mm, strict=True))


def _fits(unit: Unit, pixel_mm: Pair, largest: np.ndarray, stored: np.ndarray, reached: float = REACHED) -> bool:
    """Whether the samples reach the edge of the k-space of such pixels, and none lies beyond it along y or x."""
    of_edge = (np.array(unit.cycles_per_mm) * 2 * np.array(pixel_mm)).astype(np.float32)
    if (largest * of_edge).max() > BEYOND:
        return False
    return bool(np.hypot(*np.moveaxis(stored * of_edge, -1, 0)).max() >= reached)


def large_enough(k: Float[np.ndarray, "readout sample 2"], geometry: Geometry, decisions: Decisions) -> Geometry:
    """The geometry with as many pixels as the samples (cycles per mm) need; those of the image, where these do."""
    reached = 2 * np.abs(k).max(axis=(0, 1)) * np.array(geometry.fov_mm)
    enough = reached <= np.array(geometry.matrix) * (1 + 2 * K_TOLERANCE)
    edge = np.array(geometry.encoded.matrix) / np.array(geometry.encoded.fov_mm) * np.array(geometry.fov_mm)
    if enough.all() or (reached > BEYOND * np.maximum(edge, geometry.matrix)).any():
        return geometry  # what lies beyond all that the header tells is refused
    ny, nx = np.where(enough, geometry.matrix, np.ceil(reached - 1e-3)).astype(int).tolist()
    old_y, old_x = geometry.matrix
    decisions.say(f"the resolution that was measured is kept: {ny} x {nx} instead of {old_y} x {old_x} pixels (y, x)")
    return replace(geometry, matrix=(ny, nx))
