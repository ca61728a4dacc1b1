"""Carrying images along a displacement: bicubic interpolation (Keys, IEEE Trans ASSP 1981;29:1153, a = -3/4).

y(r) = x(r + d(r)),    pixels beyond the edge are those of the edge
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor
from torch.nn import functional

from dainr.kernels.compiling import chosen, on_cuda
from dainr.kernels.constant import constant
from dainr.kernels.coordinates import pixel_coordinates
from dainr.kernels.warp_cpu import warp_cpu


def warp(
    images: Complex[Tensor, "frame y x"], displacement: Float[Tensor, "frame 2 y x"]
) -> Complex[Tensor, "frame y x"]:
    """Images seen at displaced pixels; `displacement` (x, y) is in pixels."""
    return chosen(images.device, _warp, cpu=warp_cpu, cuda=_warp_cuda)(images, displacement)


def _warp(images: Tensor, displacement: Tensor) -> Tensor:
    matrix = (images.shape[1], images.shape[2])
    half = constant((0.5 * matrix[1], 0.5 * matrix[0]), displacement.dtype, images.device)
    places = pixel_coordinates(matrix, images.device).view(*matrix, 2) + displacement.permute(0, 2, 3, 1) / half
    values = torch.view_as_real(images).permute(0, 3, 1, 2)
    warped = functional.grid_sample(values, places, mode="bicubic", padding_mode="border", align_corners=False)
    return torch.complex(warped[:, 0], warped[:, 1])


_warp_cuda = on_cuda("warp_cuda.warp_cuda", _warp)
