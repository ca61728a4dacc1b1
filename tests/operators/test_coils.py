"""Coil maps: weighting and its adjoint."""

import pytest
import torch

from dainr.operators.coils import CoilOperator
from tests.helper import random_complex
from tests.operators import assert_linear_operator


@pytest.mark.parametrize("n_coils", [1, 3])
@pytest.mark.parametrize("matrix", [(6, 9), (7, 4)])
def test_gradient_and_second_gradient_are_adjoints(n_coils: int, matrix: tuple[int, int]) -> None:
    operator = CoilOperator(random_complex(n_coils, *matrix))
    assert_linear_operator(operator, random_complex(2, *matrix, seed=1), random_complex(2, n_coils, *matrix, seed=2))


def test_every_coil_sees_the_image_times_its_map() -> None:
    maps, x = random_complex(3, 4, 5), random_complex(2, 4, 5, seed=1)
    images = CoilOperator(maps)(x)
    torch.testing.assert_close(images[1, 2], maps[2] * x[1])


def test_adjoint_is_the_conjugate_weighted_sum() -> None:
    operator = CoilOperator(torch.tensor([[[1j]], [[2.0 + 0j]]], dtype=torch.complex64))
    combined = operator.adjoint(torch.tensor([[[[3.0 + 0j]], [[5j]]]], dtype=torch.complex64))
    torch.testing.assert_close(combined, torch.tensor([[[7j]]], dtype=torch.complex64))


def test_unit_norm_maps_give_the_image_back() -> None:
    maps, x = random_complex(3, 4, 5), random_complex(2, 4, 5, seed=1)
    torch.testing.assert_close(CoilOperator(maps / maps.norm(dim=0)).gram(x), x)


def test_maps_are_not_saved_with_a_model() -> None:
    assert not CoilOperator(random_complex(1, 4, 4)).state_dict()
