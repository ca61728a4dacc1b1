"""Band-limited resampling: exact for what a matrix can hold."""

import math

import pytest
import torch

from dainr.fields.bandlimited import dirichlet_matrix, resample
from tests.helper import random_complex

CPU = torch.device("cpu")


@pytest.mark.parametrize("n_points", [5, 8, 12, 13, 24])
@pytest.mark.parametrize("n_pixels", [8, 9])
def test_waves_that_both_matrices_hold_are_carried_over_exactly(n_points: int, n_pixels: int) -> None:
    frequency = (min(n_points, n_pixels) - 1) // 2
    here, there = ((torch.arange(n) + 0.5) / n * 2 * math.pi * frequency for n in (n_pixels, n_points))
    torch.testing.assert_close(dirichlet_matrix(n_points, n_pixels, CPU) @ torch.sin(here + 1), torch.sin(there + 1))


@pytest.mark.parametrize("n", [7, 8])
def test_the_same_matrix_changes_nothing(n: int) -> None:
    torch.testing.assert_close(dirichlet_matrix(n, n, CPU), torch.eye(n), atol=1e-6, rtol=0)


def test_images_go_to_a_finer_matrix_and_back() -> None:
    images = random_complex(2, 6, 9)
    finer = resample(images, (13, 20))
    assert finer.shape == (2, 13, 20)
    odd = resample(images[:, :, :], (5, 9))  # without the Nyquist frequency, which comes back halved
    torch.testing.assert_close(resample(resample(odd, (13, 20)), (5, 9)), odd, rtol=1e-4, atol=1e-5)


def test_fewer_pixels_keep_the_mean() -> None:
    images = random_complex(1, 12, 10)
    torch.testing.assert_close(resample(images, (7, 4)).mean(), images.mean(), rtol=1e-4, atol=1e-6)
