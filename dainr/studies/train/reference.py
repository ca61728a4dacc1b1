"""The reference of a scan in the units of a fit, which a supervised training compares images with.

Whitening, coil maps and scaling give the images of a fit a brightness and, where the maps were estimated, a phase in
each pixel that are not the reference's. Both are found by the measured samples.
"""

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from dainr.errors import BadScan
from dainr.operators.measured import Measured, Measurements

WAVES, STEPS, RIDGE = 12, 30, 1e-3  # of the phase: cosines along an axis, conjugate gradients, of the largest weight
UNEXPLAINED = 0.2  # of the samples' energy, beyond noise: more, and the reference is of something else


@torch.no_grad()
def in_units_of_the_fit(reference: np.ndarray, measurements: Measurements, name: str) -> Complex[Tensor, "frame y x"]:
    """A reference `frame y x`, complex or magnitudes, as the network's images are to be.

    Raises BadScan where its shape is another and where it does not explain the samples.
    """
    measured = measurements.of()
    shape = tuple(measured.rhs.shape)
    if reference.shape != shape:
        raise BadScan(name, f"its reference has shape {reference.shape}, its frames {shape}", "make one of that shape")
    truth = torch.from_numpy(np.ascontiguousarray(reference).astype(np.complex64)).to(measured.rhs.device)
    found = min((_scaled(t, measured) for t in (truth, _with_phase(truth, measured))), key=lambda pair: pair[1])
    noise = measurements.noise_std**2 * measured.weight / measured.energy.clamp(min=torch.finfo().tiny)
    unexplained = found[1] - float(noise)
    if not unexplained <= UNEXPLAINED:  # also where it is not a number
        raise BadScan(
            name, f"its reference leaves {unexplained:.0%} of its samples unexplained", "give the scan's own reference"
        )
    return found[0]


def _with_phase(truth: Tensor, measured: Measured) -> Tensor:
    """The reference times the smooth phase by which it explains the samples best.

    That is the phase of u = sum c_mn cos_m(y) cos_n(x) with least |A u t - y|^2_W, by conjugate gradients.
    """
    along_y, along_x = (_waves(n, truth.device) for n in truth.shape[1:])

    def spread(weights: Tensor) -> Tensor:
        return truth * (along_y @ weights @ along_x.T)

    def gathered(images: Tensor) -> Tensor:
        return along_y.T @ (truth.conj() * images).sum(0) @ along_x

    residual = gathered(measured.rhs)
    direction, squared, weights = residual, residual.abs().square().sum(), torch.zeros_like(residual)
    ridge = RIDGE * gathered(measured.gram(spread(residual))).norm() / residual.norm().clamp(min=torch.finfo().tiny)
    for _ in range(STEPS):
        moved = gathered(measured.gram(spread(direction))) + ridge * direction
        step = squared / (direction.conj() * moved).real.sum().clamp(min=torch.finfo().tiny)
        weights, residual = weights + step * direction, residual - step * moved
        last, squared = squared, residual.abs().square().sum()
        direction = residual + squared / last.clamp(min=torch.finfo().tiny) * direction
    return truth * torch.sgn(along_y @ weights @ along_x.T)


def _waves(n: int, device: torch.device) -> Tensor:
    """The slowest cosines over n pixels, as columns."""
    pixel, number = torch.arange(n, device=device) + 0.5, torch.arange(min(WAVES, n), device=device)
    return torch.cos(torch.pi * pixel[:, None] * number / n).to(torch.complex64) / n**0.5


def _scaled(truth: Tensor, measured: Measured) -> tuple[Tensor, float]:
    """The reference times the number that fits it to the samples best, and the share of their energy that is left."""
    tiny = torch.finfo().tiny
    factor = (truth.conj() * measured.rhs).sum() / (truth.conj() * measured.gram(truth)).sum().real.clamp(min=tiny)
    scaled = factor * truth
    return scaled, float(measured.misfit(scaled) * scaled.numel() / measured.energy.clamp(min=tiny))
