"""NUFFT by cuFINUFFT on a CUDA device: one plan per frame and direction (Shih et al., IPDPSW 2021:688).

Imported only when it is chosen: the package needs CUDA's libraries to import.
"""

from collections.abc import Sequence

import cufinufft
import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.fourier import FourierOperator

TOLERANCE = 1e-5


class CufinufftOperator(FourierOperator):
    """Coil images to k-space through cuFINUFFT plans, single precision, on torch's device memory."""

    def _set_up(self, points: Sequence[Float[np.ndarray, "_ 2"]], n_coils: int, device: torch.device) -> None:
        # contiguous, or cufinufft copies them with a warning
        angles = [np.ascontiguousarray((2 * np.pi * p.T).astype(np.float32)) for p in points]
        self.coordinates = [torch.from_numpy(of_frame).to(device) for of_frame in angles]
        self.plans = [(self._make(2, -1, n_coils, c), self._make(1, 1, n_coils, c)) for c in self.coordinates]

    def _make(self, kind: int, sign: int, n_coils: int, coordinates: Tensor) -> cufinufft.Plan:
        stream = torch.cuda.current_stream(coordinates.device).cuda_stream
        plan = cufinufft.Plan(
            kind,
            self.matrix,
            n_trans=n_coils,
            eps=TOLERANCE,
            isign=sign,
            dtype="complex64",
            gpu_device_id=coordinates.device.index or 0,
            gpu_stream=stream,
        )
        plan.setpts(coordinates[0], coordinates[1])
        return plan

    def _frame(self, x: Complex[Tensor, "coil y x"], frame: int) -> Complex[Tensor, "coil point"]:
        y = torch.empty(len(x), self.n_points[frame], dtype=x.dtype, device=x.device)
        self.plans[frame][0].execute(x.resolve_conj().contiguous().squeeze(0), out=y.squeeze(0))
        return y.div_(self.norm)

    def _frame_adjoint(self, y: Complex[Tensor, "coil point"], frame: int) -> Complex[Tensor, "coil y x"]:
        x = torch.empty(len(y), *self.matrix, dtype=y.dtype, device=y.device)
        self.plans[frame][1].execute(y.resolve_conj().contiguous().squeeze(0), out=x.squeeze(0))
        return x.div_(self.norm)
