"""Gram operators: the same as A then A^H, by transforms or as products in Fourier space."""

import numpy as np
import pytest
import torch

from dainr.operators.gram import KernelGram, WeightedGram, largest_eigenvalue, toeplitz_kernel
from tests.helper import random_complex
from tests.operators import assert_linear_operator, relative_l2
from tests.operators.test_acquisition import COUNTS, FRAME, make, trajectory

WEIGHTS = torch.rand(sum(COUNTS), generator=torch.Generator().manual_seed(2)) + 0.1
each_matrix = pytest.mark.parametrize("matrix", [(9, 12), (14, 7)], ids=str)


def exact_gram(x: torch.Tensor, maps: torch.Tensor, k: np.ndarray, weights: torch.Tensor) -> torch.Tensor:
    """A^H W A by its definition, in double precision."""
    frames = []
    for number, image in enumerate(x):
        points, mine = k[number == FRAME].reshape(-1, 2), weights.split(COUNTS)[number]
        y, x0 = (np.arange(n) - n // 2 for n in image.shape)
        waves = np.exp(-2j * np.pi * (points[:, :1, None] * y[:, None] + points[:, 1:, None] * x0)) / np.sqrt(
            image.numel()
        )
        matrix = torch.from_numpy(waves.reshape(len(points), -1))
        seen = (maps.to(matrix.dtype) * image.to(matrix.dtype)).flatten(1) @ matrix.mT
        back = ((mine * seen) @ matrix.conj()).reshape(len(maps), *image.shape)
        frames.append((maps.conj() * back).sum(0))
    return torch.stack(frames)


@each_matrix
@pytest.mark.parametrize("backend", ["fft", "finufft"])
def test_gram_by_transforms(backend: str, matrix: tuple[int, int]) -> None:
    operator, x = make(backend, matrix), random_complex(3, *matrix)
    gram = WeightedGram(operator, WEIGHTS)
    assert_linear_operator(gram, x, random_complex(3, *matrix, seed=1))
    composed = operator.adjoint(WEIGHTS * operator(x))
    assert relative_l2(gram(x), composed) <= 1e-5


@each_matrix
def test_toeplitz_gram_is_the_gram_by_its_definition(matrix: tuple[int, int]) -> None:
    operator, x, k = make("finufft", matrix), random_complex(3, *matrix), trajectory(matrix, False)
    kernels = [
        toeplitz_kernel(torch.from_numpy(k[number == FRAME].reshape(-1, 2)), weights, matrix)
        for number, weights in enumerate(WEIGHTS.split(COUNTS))
    ]
    gram = KernelGram(operator.maps, torch.stack(kernels))
    assert_linear_operator(gram, x, random_complex(3, *matrix, seed=1))
    assert relative_l2(gram(x), exact_gram(x, operator.maps, k, WEIGHTS)) <= 1e-5


def test_a_kernel_of_ones_on_the_grid_is_the_identity_under_unit_maps() -> None:
    maps = random_complex(3, 9, 12)
    maps /= maps.abs().square().sum(0).sqrt()
    x = random_complex(3, 9, 12)
    assert relative_l2(KernelGram(maps, torch.ones(3, 9, 12))(x), x) <= 1e-5


def test_power_iteration_finds_the_largest_eigenvalue() -> None:
    gram = WeightedGram(make("fft"), WEIGHTS)
    basis = torch.eye(3 * 9 * 12, dtype=torch.complex64).reshape(-1, 3, 9, 12)
    dense = torch.stack([gram(x).flatten() for x in basis])
    largest = float(torch.linalg.eigvalsh(dense).max())
    assert 0.95 * largest <= largest_eigenvalue(gram, basis[0], 30) <= 1.0001 * largest
