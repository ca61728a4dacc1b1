"""The loss by a reference, for those who have one: images, their structure and their Fourier transform.

As CRUNet-MR was trained (Lyu et al.): mean absolute and mean square error, 1 - SSIM (Wang et al., IEEE TIP 2004;13:600,
window 7) and the mean absolute error of k-space, all of real and imaginary parts. Images are taken relative to the
largest magnitude of the reference, and their Fourier transform is orthonormal.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from dainr.errors import BadRequest
from dainr.losses.consistency import Network
from dainr.operators.measured import Measurements
from dainr.settings.bounds import check_bounds, within

WINDOW = 7  # pixels a side, less only of smaller images
RANGE = 2.0  # of a part: from -1 to 1


@dataclass(frozen=True)
class SupervisedConfig:
    """Weights of the terms."""

    l1: float = within(1.0, 0, 1e6)
    mse: float = within(1.0, 0, 1e6)
    ssim: float = within(1.0, 0, 1e6)
    kspace: float = within(1.0, 0, 1e6)

    def __post_init__(self) -> None:
        check_bounds(self)


def supervised(
    network: Network,
    measurements: Measurements,
    generator: torch.Generator,
    reference: Complex[Tensor, "frame y x"],
    config: SupervisedConfig = SupervisedConfig(),
) -> Float[Tensor, ""]:
    """The loss of f(y) by the reference, which has the units of the images. Raises BadRequest for other shapes."""
    images = network(measurements.of())
    if images.shape != reference.shape:
        raise BadRequest(
            "the reference", f"it has shape {tuple(reference.shape)}, the images {tuple(images.shape)}", "give another"
        )
    scale = reference.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    x, truth = _parts(images / scale), _parts(reference / scale)
    k, true_k = (_parts(torch.fft.fft2(z / scale, norm="ortho")) for z in (images, reference))
    return (
        config.l1 * (x - truth).abs().mean()
        + config.mse * (x - truth).square().mean()
        + config.ssim * (1 - structural_similarity(x, truth))
        + config.kspace * (k - true_k).abs().mean()
    )


def structural_similarity(x: Float[Tensor, "image 1 y x"], y: Float[Tensor, "image 1 y x"]) -> Float[Tensor, ""]:
    """Mean SSIM of images from -1 to 1, over the windows that lie within them."""
    window = min(WINDOW, *(n - 1 + n % 2 for n in x.shape[2:]))
    n = window**2
    means = [functional.avg_pool2d(m, window, stride=1) for m in (x, y, x * x, y * y, x * y)]
    mx, my, xx, yy, xy = means
    unbiased = n / max(n - 1, 1)
    vx, vy, vxy = (unbiased * (second - a * b) for second, a, b in ((xx, mx, mx), (yy, my, my), (xy, mx, my)))
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    return ((2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean()


def _parts(images: Complex[Tensor, "frame y x"]) -> Float[Tensor, "image 1 y x"]:
    """Real and imaginary parts as images of their own."""
    return torch.cat([images.real, images.imag])[:, None]
