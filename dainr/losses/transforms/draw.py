"""Transforms at random, as DDEI draws them for a step (Wang & Davies, ISBI 2025, arXiv 2410.08646)."""

from collections.abc import Sequence
from typing import Literal

import torch

from dainr.errors import BadRequest
from dainr.losses.transforms.diffeomorphism import draw_diffeomorphism
from dainr.losses.transforms.rotation import Rotation
from dainr.losses.transforms.shift import TimeShift
from dainr.losses.transforms.transform import InTurn, Transform

Kind = Literal["shift", "rotation", "diffeomorphism"]
CHANCES: dict[Kind, float] = {"shift": 0.5, "rotation": 0.25, "diffeomorphism": 0.25}


def draw(
    generator: torch.Generator,
    matrix: tuple[int, int],
    n_frames: int,
    cyclic: bool,
    kinds: Sequence[Kind] = tuple(CHANCES),
    in_turn: bool = False,
) -> Transform:
    """A transform of one of these kinds, by their chances in `CHANCES`; on the generator's device.

    With `in_turn` one of the kinds that act on the plane, then a shift, as far as `kinds` has them. Shifts are by any
    number of frames but none, rotations by any angle. Raises BadRequest where there is no kind, or for a shift of a
    single frame.
    """
    if not kinds:
        raise BadRequest("the equivariance loss", "all its transforms are off", "leave one on")
    if "shift" in kinds and n_frames < 2:
        raise BadRequest("the equivariance loss", "a single frame cannot be shifted in time", "switch shifts off")
    on_plane = [kind for kind in kinds if kind != "shift"]
    if in_turn and on_plane and "shift" in kinds:
        first = _draw(_choose(generator, on_plane), generator, matrix, n_frames, cyclic)
        return InTurn(first, _draw("shift", generator, matrix, n_frames, cyclic))
    return _draw(_choose(generator, kinds), generator, matrix, n_frames, cyclic)


def _choose(generator: torch.Generator, kinds: Sequence[Kind]) -> Kind:
    chances = torch.tensor([CHANCES[kind] for kind in kinds], device=generator.device)
    return kinds[int(torch.multinomial(chances, 1, generator=generator))]


def _draw(kind: Kind, generator: torch.Generator, matrix: tuple[int, int], n_frames: int, cyclic: bool) -> Transform:
    if kind == "diffeomorphism":
        return draw_diffeomorphism(generator, matrix)
    number = float(torch.rand((), generator=generator, device=generator.device, dtype=torch.float64))
    if kind == "rotation":
        return Rotation(360 * number, matrix, generator.device)
    frames = 1 + int(number * (n_frames - 1))  # of a cyclic series all that differ
    backwards = not cyclic and bool(torch.randint(2, (), generator=generator, device=generator.device))
    return TimeShift(-frames if backwards else frames, cyclic)
