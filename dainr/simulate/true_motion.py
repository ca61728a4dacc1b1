"""How the tissue of a phantom truly moves: in closed form, from the ellipses that it is measured by.

A wall between two ellipses about one centre is stretched evenly along every ray from that centre,

    r -> r_i' + (r - r_i) / (r_o - r_i) (r_o' - r_i'),

r_i and r_o being where the ray meets the ellipses, a dash what is so later. What else is an ellipse is scaled with its
half-axes. Blood flows: it has no such motion, nor has what a heart covers and uncovers, nor where walls lie over each
other, for there the image shows both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from dainr.simulate.phantom import Ellipse, Varying

Points = Float[np.ndarray, "point 2"]  # (y, x) in fields of view
MARGIN = 1.03  # of the half-axes of what covers others, for its edge lies within pixels
HEART_PARTS = 6  # right wall and blood, left wall and blood, two papillary muscles: the order of `beating_heart`


class Material(Protocol):
    """A piece of tissue whose every point is known at all times (shares of the scan)."""

    def holds(self, points: Points, time: float) -> Bool[np.ndarray, " point"]:
        """Which points lie in it, or in what it encloses, at a time."""

    def carried(self, points: Points, start: float, time: float) -> Points:
        """Where points of it at one time are at another; not a number where it is not known."""


@dataclass(frozen=True)
class Solid:
    """An ellipse whose inside is scaled with its half-axes."""

    ellipse: Ellipse

    def holds(self, points: Points, time: float) -> Bool[np.ndarray, " point"]:
        """Those inside the ellipse."""
        return _level(self.ellipse, points, time) <= 1

    def carried(self, points: Points, start: float, time: float) -> Points:
        """By the centre and the half-axes."""
        (before, old), (after, new) = (_place(self.ellipse, t) for t in (start, time))
        turn = _turn(self.ellipse.angle)
        return after + ((points - before) @ turn * (new / old)) @ turn.T


@dataclass(frozen=True)
class Wall:
    """What lies between two ellipses about one centre; `twist` turns it about that (rad), where both are circles."""

    outer: Ellipse
    inner: Ellipse
    twist: Varying | None = None

    def holds(self, points: Points, time: float) -> Bool[np.ndarray, " point"]:
        """Those inside the outer ellipse, blood and all."""
        return _level(self.outer, points, time) <= 1

    def carried(self, points: Points, start: float, time: float) -> Points:
        """Along the rays; of blood it is not known."""
        centres = [_place(self.outer, t)[0] for t in (start, time)]
        away = points - centres[0]
        radius = np.linalg.norm(away, axis=1)
        direction = away / np.maximum(radius, 1e-12)[:, None]
        (inner, outer), (new_inner, new_outer) = (
            [_reach(ellipse, direction, t) for ellipse in (self.inner, self.outer)] for t in (start, time)
        )
        share = (radius - inner) / (outer - inner)
        if self.twist is not None:
            angle = self.twist(np.array([start, time]))
            direction = direction @ _turn(float(angle[1] - angle[0]))
        moved = centres[1] + direction * (new_inner + share * (new_outer - new_inner))[:, None]
        return np.where((share >= 0)[:, None], moved, np.nan)


def heart_and_chest(ellipses: Sequence[Ellipse]) -> list[Material]:
    """What is known of a chest whose first ellipse is its outline and whose last ones are a heart."""
    right_wall, right_blood, left_wall, left_blood, *papillary = ellipses[-HEART_PARTS:]
    walls = [Wall(right_wall, right_blood), Wall(left_wall, left_blood)]
    return [Solid(ellipses[0]), *walls, *map(Solid, papillary)]


def displacement(
    materials: Sequence[Material], times: Sequence[float], matrix: tuple[int, int]
) -> Float[np.ndarray, "time 2 y x"]:
    """From each pixel's tissue at the first time to where it is at every time, (x, y) in pixels; elsewhere nan.

    Of materials that lie over each other the later one counts. Pixel n // 2 is the origin.
    """
    axes = [(np.arange(n) - n // 2) / n for n in matrix]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    found = np.full((len(times), len(points), 2), np.nan)
    for index, material in enumerate(materials):
        mine = material.holds(points, times[0])
        for number, time in enumerate(times):
            found[number, mine] = material.carried(points[mine], times[0], time) - points[mine]
        if index == 0:
            found[:, _covered(materials[1:], points, times) > 0] = np.nan
    found[:, _covered(materials[1:], points, times[:1]) > 1] = np.nan
    pixels = found[..., ::-1] * [matrix[1], matrix[0]]
    return pixels.transpose(0, 2, 1).reshape(len(times), 2, *matrix).astype(np.float32)


def _covered(others: Sequence[Material], points: Points, times: Sequence[float]) -> Int[np.ndarray, " point"]:
    """How many walls lie over each point at some time, a little of their surroundings included."""
    walls = [material.outer for material in others if isinstance(material, Wall)]
    over = [np.any([_level(outer, points, time) <= MARGIN**2 for time in times], axis=0) for outer in walls]
    return np.sum(over, axis=0, dtype=int) if over else np.zeros(len(points), int)


def _place(ellipse: Ellipse, time: float) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Centre and half-axes (y, x) at a time."""
    at = np.array([time])
    centre, axes = (np.array([float(v[0]) for v in f(at)]) for f in (ellipse.centre, ellipse.axes))
    return centre, axes


def _turn(angle: float) -> Float[np.ndarray, "2 2"]:
    """Rows (y, x) times it are in axes that are turned, as those of an ellipse."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def _level(ellipse: Ellipse, points: Points, time: float) -> Float[np.ndarray, " point"]:
    """One on the ellipse, less inside."""
    centre, axes = _place(ellipse, time)
    inside: np.ndarray = ((((points - centre) @ _turn(ellipse.angle)) / axes) ** 2).sum(1)
    return inside


def _reach(ellipse: Ellipse, direction: Points, time: float) -> Float[np.ndarray, " point"]:
    """How far from the centre rays meet an ellipse."""
    reach: np.ndarray = 1 / np.linalg.norm((direction @ _turn(ellipse.angle)) / _place(ellipse, time)[1], axis=1)
    return reach
