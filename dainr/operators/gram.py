"""Gram operators G = A^H W A of an acquisition, from images to images, and how large their eigenvalues are."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from dainr.operators.acquisition import Acquisition
from dainr.operators.linear import LinearOperator


class SelfAdjoint(LinearOperator):
    """An operator that is its own adjoint; subclasses give `_map`."""

    def _map_adjoint(self, y: Tensor) -> Tensor:
        return self._map(y)


class WeightedGram(SelfAdjoint):
    """A^H W A by the transforms of the acquisition, exactly as they are; W: a weight for each sample."""

    def __init__(self, operator: Acquisition, weights: Float[Tensor, " point"]) -> None:
        super().__init__()
        self.operator, self.weights = operator, weights

    def _map(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        return self.operator._map_adjoint(self.weights * self.operator._map(x))


class KernelGram(SelfAdjoint):
    """A^H W A as a product in Fourier space: x -> sum_c conj(S_c) crop(F^-1 K F pad(S_c x)).

    K (`frame ky kx`, real, low frequencies first) has the size of the images where samples lie on the grid, and twice
    the size for any other (Toeplitz; Wajer & Pruessmann, ISMRM 2001:767); either way it is exact.
    """

    def __init__(self, maps: Complex[Tensor, "coil y x"], kernel: Float[Tensor, "frame ky kx"]) -> None:
        super().__init__()
        self.maps, self.kernel = maps, kernel

    def _map(self, x: Complex[Tensor, "frame y x"]) -> Complex[Tensor, "frame y x"]:
        ny, nx = x.shape[-2:]
        size = self.kernel.shape[-2:]
        out = torch.empty_like(x)
        for frame, image in enumerate(x):  # the coil images of one frame are in memory
            seen = torch.fft.fft2(self.maps * image, size) * self.kernel[frame]
            out[frame] = (self.maps.conj() * torch.fft.ifft2(seen)[:, :ny, :nx]).sum(0)
        return out


def grid_kernel(
    points: Float[Tensor, "point 2"], weights: Float[Tensor, " point"], matrix: tuple[int, int]
) -> Float[Tensor, "ky kx"]:
    """K of `KernelGram` for the samples of one frame that lie on the grid, each on a place of its own."""
    size = torch.tensor(matrix, device=points.device)
    y, x = ((points * size).round().long() % size).unbind(1)
    kernel = weights.new_zeros(matrix)
    kernel[y, x] = weights
    return kernel


def toeplitz_kernel(
    points: Float[Tensor, "point 2"], weights: Float[Tensor, " point"], matrix: tuple[int, int]
) -> Float[Tensor, "ky kx"]:
    """K of `KernelGram` for the samples of one frame, at twice the matrix; exact, by matrix products.

    `points` are (ky, kx) in cycles per pixel. With q(d) = sum_j w_j exp(2 pi i k_j . d) / (ny nx), G convolves with q.
    """
    waves = [_waves(points[:, axis], matrix[axis]) for axis in (0, 1)]
    response = (waves[0].mT @ (weights[:, None] * waves[1])) / (matrix[0] * matrix[1])
    response[matrix[0]] = 0  # a distance that no two pixels have
    response[:, matrix[1]] = 0
    return torch.fft.fft2(response).real


def _waves(k: Float[Tensor, " point"], n: int) -> Complex[Tensor, "point distance"]:
    """exp(2 pi i k d) for the distances 0 .. n - 1, -n .. -1."""
    distance = torch.arange(2 * n, device=k.device, dtype=torch.float64)
    distance[n:] -= 2 * n
    angle = 2 * torch.pi * k.double()[:, None] * distance
    return torch.complex(angle.cos().float(), angle.sin().float())


@torch.no_grad()
def largest_eigenvalue(gram: LinearOperator, like: Complex[Tensor, "frame y x"], iterations: int = 10) -> float:
    """The largest eigenvalue of G by power iteration, from below and within a few percent; zero where G is."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(like.shape, dtype=torch.complex64, generator=generator).to(like.device)
    value = 0.0
    for _ in range(iterations):
        x = gram(x / torch.linalg.vector_norm(x).clamp(min=torch.finfo().tiny))
        value = float(torch.linalg.vector_norm(x))
    return value
