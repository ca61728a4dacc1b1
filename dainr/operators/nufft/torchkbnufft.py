"""NUFFT by torchkbnufft's interpolation table, on CPU and CUDA (Muckley et al., ISMRM Workshop 2020)."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.fourier import FourierOperator

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it scripts its kernels at import
    import torchkbnufft


class TorchKbNufftOperator(FourierOperator):
    """Coil images to k-space by table interpolation on a twice finer grid."""

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        self.nufft = torchkbnufft.KbNufft(im_size=self.matrix).to(device)
        self.nufft_adjoint = torchkbnufft.KbNufftAdjoint(im_size=self.matrix).to(device)
        self.plans = [torch.from_numpy((2 * np.pi * p.T).astype(np.float32)).to(device) for p in points]

    def _frame(self, x: Complex[Tensor, "coil y x"], frame: int) -> Complex[Tensor, "coil point"]:
        return self.nufft(x[None].resolve_conj().contiguous(), self.plans[frame])[0] / self.norm

    def _frame_adjoint(self, y: Complex[Tensor, "coil point"], frame: int) -> Complex[Tensor, "coil y x"]:
        return self.nufft_adjoint(y[None].resolve_conj().contiguous(), self.plans[frame])[0] / self.norm
