"""Images on other pixels of the same field of view, by their Fourier series: what k-space itself says between pixels.

f(u) = sum_i f_i D(u - u_i), D the Dirichlet kernel (periodic sinc); separable in y and x.
"""

from functools import lru_cache

import torch
from jaxtyping import Complex, Float
from torch import Tensor


@lru_cache(maxsize=16)
def dirichlet_matrix(n_points: int, n_pixels: int, device: torch.device) -> Float[Tensor, "point pixel"]:
    """Values at the centres of `n_points` pixels from those at `n_pixels`; fewer take the low frequencies. Kept."""
    centres = [(torch.arange(n, device=device, dtype=torch.float64) + 0.5) / n for n in (n_points, n_pixels)]
    distance = torch.pi * (centres[0][:, None] - centres[1])
    n = min(n_points, n_pixels)
    apart = distance.sin().abs() > 1e-9
    # of an even number, half of the Nyquist frequency is on either side
    below = torch.where(apart, distance.sin() if n % 2 else distance.tan(), 1.0)
    kernel = torch.where(apart, (n * distance).sin() / below, float(n))
    return (kernel / n_pixels).float()


def resample(images: Complex[Tensor, "frame y x"], matrix: tuple[int, int]) -> Complex[Tensor, "frame row column"]:
    """Images on another matrix over the same field of view."""
    rows, columns = (
        dirichlet_matrix(n, pixels, images.device).to(images.dtype)
        for n, pixels in zip(matrix, images.shape[1:], strict=True)
    )
    return rows @ images @ columns.T
