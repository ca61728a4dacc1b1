"""Measurement consistency: how far a network's images are from what was measured.

Losses of networks take a network, what was measured and a generator for what a step draws, and are relative: the
squared error over the energy of what was measured, 0 for images that explain it, 1 for black ones.
"""

from collections.abc import Callable

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.measured import Measured, Measurements

Network = Callable[[Measured], Complex[Tensor, "frame y x"]]
NetworkLoss = Callable[[Network, Measurements, torch.Generator], Float[Tensor, ""]]


def relative_misfit(measured: Measured, images: Complex[Tensor, "frame y x"]) -> Float[Tensor, ""]:
    """|A x - y|^2_W / |y|^2_W."""
    return measured.misfit(images) / energy_per_pixel(measured, images)


def energy_per_pixel(measured: Measured, images: Complex[Tensor, "frame y x"]) -> Float[Tensor, ""]:
    """|y|^2_W per pixel and frame: the unit of the relative losses."""
    return (measured.energy.detach() / images.numel()).clamp(min=torch.finfo(torch.float32).tiny)


def mc(network: Network, measurements: Measurements, generator: torch.Generator) -> Float[Tensor, ""]:
    """The misfit of f(y) to the same y: nothing says what lies between the samples but the network itself."""
    measured = measurements.of()
    return relative_misfit(measured, network(measured))
