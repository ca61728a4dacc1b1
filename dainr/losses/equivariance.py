"""DDEI: what a network makes of a transformed series should be the series transformed (arXiv 2410.08646).

    |A f(y) - y|^2 + w |f(A T x) - T x|^2,    x = f(y)

Wang & Davies, ISBI 2025. Gradients pass through both calls of the network and through T. Both terms are mean squares
per pixel and frame of images (A has norm one), so that w = 1 is the published weight, and both are divided by the
energy of what was measured.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.losses.consistency import Network, energy_per_pixel, relative_misfit
from dainr.losses.sure import risk
from dainr.losses.transforms import Kind, Transform, draw
from dainr.operators.measured import Measurements
from dainr.settings.bounds import check_bounds, within


@dataclass(frozen=True)
class EquivarianceConfig:
    """Which transforms, and how much they count."""

    equivariance_weight: float = within(1.0, 0, 1e6)  # w
    shift: bool = True
    rotation: bool = True
    diffeomorphism: bool = True
    in_turn: bool = False  # a rotation or a deformation and then a shift, in place of one of the three
    data_term: Literal["mc", "sure"] = "mc"  # sure: of noisy data

    def __post_init__(self) -> None:
        check_bounds(self)


def ddei(
    network: Network,
    measurements: Measurements,
    generator: torch.Generator,
    config: EquivarianceConfig = EquivarianceConfig(),
) -> Float[Tensor, ""]:
    """The loss of a step with a transform drawn for it; two passes of the network, three with `data_term=sure`.

    Raises BadRequest where all transforms are off.
    """
    measured = measurements.of()
    images = network(measured)
    if config.data_term == "sure":
        data = risk(network, images, measurements, generator)
    else:
        data = relative_misfit(measured, images)
    matrix = (images.shape[1], images.shape[2])
    kinds = useful_kinds(config, measurements)
    transform = draw(generator, matrix, len(images), measurements.cyclic, kinds, config.in_turn)
    moved = transform(images)
    again = network(measured.remeasured(moved))
    missed = mean_square(again - moved, transform) / energy_per_pixel(measured, images)
    return data + config.equivariance_weight * missed


def useful_kinds(config: EquivarianceConfig, measurements: Measurements) -> tuple[Kind, ...]:
    """The kinds of transform that are on, without those that teach nothing here, unless nothing else is on.

    Where one pattern serves all frames, and of a single frame, a shift in time measures nothing new.
    """
    switches: dict[Kind, bool] = {
        "shift": config.shift, "rotation": config.rotation, "diffeomorphism": config.diffeomorphism
    }  # fmt: skip
    on = tuple(kind for kind, is_on in switches.items() if is_on)
    if measurements.shared_pattern or measurements.n_frames < 2:
        return tuple(kind for kind in on if kind != "shift") or on
    return on


def mean_square(difference: Complex[Tensor, "frame y x"], transform: Transform) -> Float[Tensor, ""]:
    """Mean |d|^2 over the pixels that show what was within the field of view."""
    squares = difference.real.square() + difference.imag.square()
    if transform.inside is None:
        return squares.mean()
    inside = transform.inside.to(squares.device)
    return (squares * inside).sum() / (len(squares) * inside.sum())
