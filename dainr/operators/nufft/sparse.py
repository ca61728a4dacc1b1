"""NUFFT as apodisation, FFT and a constant sparse matrix: gridding in torch alone, on CPU and CUDA.

The matrix interpolates the Fourier transform on a 1.25 times finer grid with the kernel of window.py.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from dainr.operators.nufft.window import apodisation, oversampled, window
from dainr.operators.sampled_fft import SampledFftOperator, Windows


class SparseNufftOperator(SampledFftOperator):
    """Coil images to k-space through one sparse interpolation matrix."""

    def _windows(self, points: Float[Tensor, "point 2"]) -> tuple[Windows, Windows]:
        self.grid = oversampled(self.matrix)
        self.factor = torch.from_numpy(apodisation(self.matrix, self.grid)).float().to(points.device)
        y, x = (Windows(*window(points[:, axis] * size)) for axis, size in enumerate(self.grid))
        return y, x
