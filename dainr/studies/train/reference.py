"""The reference of a scan in the units of a fit, which a supervised training compares images with.

Whitening, coil maps and scaling give the images of a fit a brightness and, where the maps were estimated, a phase in
each pixel that are not the reference's. Both are found by the measured samples.
"""

import numpy as np
import torch
from jaxtyping import Complex
from scipy.ndimage import gaussian_filter
from torch import Tensor

from dainr.errors import BadScan
from dainr.operators.measured import Measured, Measurements

SMOOTH = 3.0  # pixels: standard deviation over which phases of pixels are taken together
UNEXPLAINED = 0.3  # of the samples' energy, beyond noise: more, and the reference is of something else


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
    """The reference with the smooth phase by which the gridded frames differ from it."""
    product = (truth.conj() * measured.rhs).sum(0).cpu().numpy()
    smooth = gaussian_filter(product.real, SMOOTH) + 1j * gaussian_filter(product.imag, SMOOTH)
    phase = torch.from_numpy(np.exp(1j * np.angle(smooth)).astype(np.complex64))
    return truth * phase.to(truth.device)


def _scaled(truth: Tensor, measured: Measured) -> tuple[Tensor, float]:
    """The reference times the number that fits it to the samples best, and the share of their energy that is left."""
    tiny = torch.finfo().tiny
    factor = (truth.conj() * measured.rhs).sum() / (truth.conj() * measured.gram(truth)).sum().real.clamp(min=tiny)
    scaled = factor * truth
    return scaled, float(measured.misfit(scaled) * scaled.numel() / measured.energy.clamp(min=tiny))
