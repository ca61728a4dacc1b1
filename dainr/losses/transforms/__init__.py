"""Transforms of a series that leave it a possible one: shifts in time, rotations, smooth deformations."""

from dainr.losses.transforms.diffeomorphism import Diffeomorphism, draw_diffeomorphism
from dainr.losses.transforms.draw import CHANCES, Kind, draw
from dainr.losses.transforms.rotation import Rotation
from dainr.losses.transforms.shift import TimeShift
from dainr.losses.transforms.transform import InTurn, Transform

__all__ = [
    "CHANCES",
    "Diffeomorphism",
    "InTurn",
    "Kind",
    "Rotation",
    "TimeShift",
    "Transform",
    "draw",
    "draw_diffeomorphism",
]
