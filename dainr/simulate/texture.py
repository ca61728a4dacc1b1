"""A heart whose muscle has texture: only so can be seen how a wall moves along itself, as it twists and shortens.

The muscle is a ring, sprinkled with spots that are carried as its tissue is. A spot keeps its shape: where its middle
is, is exact.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from dainr.simulate.phantom import HEART_X, HEART_Y, SWING, Ellipse, Place, beating_heart, chest, steady
from dainr.simulate.true_motion import Material, Solid, Wall

OUTER, INNER = 0.120, 0.072  # radii of the ring at rest
SHORTER, NARROWER = 0.06, 0.34  # by what shares they shrink
TWIST = np.deg2rad(10)
LAYERS, SPOTS = (0.24, 0.76), (14, 18)  # depth in the wall, and how many spots there
SIZES = (0.008, 0.012)  # half-axes of spots
MUSCLE, BLOOD, SPOT = -0.13, 0.41, 0.12  # densities


def textured_thorax() -> list[Ellipse]:
    """A chest, a right ventricle as elsewhere, and a left one with spots in its wall."""
    right_wall, right_blood = beating_heart(steady())[:2]
    ring = _ring()
    return [*chest(), right_wall, right_blood, ring.outer, ring.inner, *_spots(ring)]


def textured_motion(ellipses: Sequence[Ellipse]) -> list[Material]:
    """The motion of the chest and of both walls, from the ellipses of the phantom."""
    right_wall, right_blood = ellipses[len(chest()) :][:2]
    return [Solid(ellipses[0]), Wall(right_wall, right_blood), _ring()]


def _ring() -> Wall:
    """The muscle of the left ventricle, over the right one; its blood is as bright as elsewhere."""

    def centre(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        swing = steady()(time)[1]
        return HEART_Y + SWING * swing, HEART_X - 0.5 * SWING * swing

    def radius(at_rest: float, share: float) -> Place:
        def axes(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            now = at_rest * (1 - share * steady()(time)[0])
            return now, now

        return axes

    outer, inner = Ellipse(MUSCLE, centre, radius(OUTER, SHORTER)), Ellipse(BLOOD, centre, radius(INNER, NARROWER))
    return Wall(outer, inner, lambda time: TWIST * steady()(time)[0])


def _spots(ring: Wall) -> list[Ellipse]:
    """Bright and dark ones in turn, each a part of the wall."""
    random = np.random.default_rng(5)  # of the phantom itself: the same in every scan
    rest = np.array([HEART_Y, HEART_X])
    spots = []
    for layer, (depth, count) in enumerate(zip(LAYERS, SPOTS, strict=True)):
        for number in range(count):
            angle = 2 * np.pi * (number + 0.3 * random.uniform(-1, 1)) / count
            place = rest + (INNER + depth * (OUTER - INNER)) * np.array([np.sin(angle), np.cos(angle)])
            spots.append(
                Ellipse(
                    SPOT * (-1) ** (number + layer),
                    partial(_carried, ring, place),
                    partial(_round, float(random.uniform(*SIZES))),
                )
            )
    return spots


def _round(size: float, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.full(len(time), size), np.full(len(time), size)


def _carried(ring: Wall, place: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a point of the wall, known at rest, is at each time."""
    moments, which = np.unique(time, return_inverse=True)
    places = np.array([ring.carried(place[None], 0.0, moment)[0] for moment in moments])[which]
    return places[:, 0], places[:, 1]
