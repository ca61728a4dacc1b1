"""Stein's unbiased risk estimate: what |A f(y) - A x|^2 is expected to be, without x, for white noise of known size.

    |A f(y) - y|^2 - sigma^2 + 2 sigma^2 Re <n, A f(y + tau n) - A f(y)> / tau,   each weighted by W and summed

One random direction n estimates the divergence (Ramani et al., IEEE TIP 2008;17:1540). A network that repeats its
noise gains nothing here, unlike with plain consistency.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.losses.consistency import Network, energy_per_pixel
from dainr.operators.measured import Measurements

NOISE_STEP = 0.1  # tau, in standard deviations of the noise


def sure(network: Network, measurements: Measurements, generator: torch.Generator) -> Float[Tensor, ""]:
    """The estimate relative to the energy of what was measured; two passes of the network."""
    return risk(network, network(measurements.of()), measurements, generator)


def risk(
    network: Network,
    images: Complex[Tensor, "frame y x"],
    measurements: Measurements,
    generator: torch.Generator,
) -> Float[Tensor, ""]:
    """The same for a network whose images are known already."""
    measured, sigma = measurements.of(), measurements.noise_std
    energy = measured.misfit(images)
    if sigma > 0:
        noise, tau = measurements.noise(generator), NOISE_STEP * sigma
        n = measurements.of_samples(noise).rhs  # A^H W n
        change = network(measurements.of_samples(measurements.kspace + tau * noise)) - images
        divergence = (n.conj() * change).real.sum() / tau
        energy = energy + sigma**2 * (2 * divergence - measured.weight) / images.numel()
    return energy / energy_per_pixel(measured, images)
