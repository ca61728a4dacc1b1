"""The phantoms with full sampling as their reference: the truth that an error of reconstruction is told by.

A phantom's own reference is its average over each pixel, which no scanner delivers: of 80 pixels a side, images of
every sample without noise are 7 % away from it. Here it is what every sample on the grid says, at the middle of each
frame.
"""

from collections.abc import Sequence
from unittest.mock import patch

import numpy as np
from jaxtyping import Complex

from dainr.scan import Scan
from dainr.simulate import SimulationConfig, simulate, simulate_phantom
from dainr.simulate.phantom import Ellipse, ellipse_kspace

WIDE = 2  # fields of view: what is beside one does not wrap into it


def phantom_with_truth(config: SimulationConfig, beside: Sequence[Ellipse] = ()) -> Scan:
    """A phantom's scan, with full sampling as its reference."""
    with patch.object(simulate, "ellipse_image", fully_sampled):
        return simulate_phantom(config, beside)


def fully_sampled(ellipses: list[Ellipse], matrix: tuple[int, int], time: float) -> Complex[np.ndarray, "y x"]:
    """The phantom by the inverse Fourier transform of its k-space; pixel n // 2 is the origin."""
    wide = [WIDE * n for n in matrix]
    k = np.stack(np.meshgrid(*((np.arange(n) - n // 2) / WIDE for n in wide), indexing="ij"), -1)
    kspace = ellipse_kspace(ellipses, k, np.full(wide[0], time)) * (matrix[0] * matrix[1])
    image = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace)))
    first = [n // 2 - m // 2 for n, m in zip(wide, matrix, strict=True)]
    return image[first[0] : first[0] + matrix[0], first[1] : first[1] + matrix[1]]
