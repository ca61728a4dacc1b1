"""The FFT operator against the exact transform, on grids of every parity."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.operators.cartesian import CartesianOperator
from tests.helper import assert_adjoint, random_complex
from tests.operators import assert_linear_operator, exact_adjoint, exact_forward, relative_l2

CPU = torch.device("cpu")
MATRICES = [(12, 18), (9, 14), (7, 5)]


def grid_points(matrix: tuple[int, int]) -> np.ndarray:
    """Every k-space position of the matrix, `point 2`."""
    axes = [(np.arange(n) - n // 2) / n for n in matrix]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def sampled(matrix: tuple[int, int], counts: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    """Some grid points for every frame, as many as `counts` says."""
    random, grid = np.random.default_rng(seed), grid_points(matrix)
    return [random.permutation(grid)[:n] for n in counts]


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("n_coils", [1, 3])
def test_equals_the_exact_transform(matrix: tuple[int, int], n_coils: int) -> None:
    points = sampled(matrix, (20, 7, 33))
    operator = CartesianOperator(points, matrix, n_coils, CPU)
    x, y = random_complex(3, n_coils, *matrix), random_complex(n_coils, 60, seed=1)
    assert relative_l2(operator(x), exact_forward(x, points, matrix)) < 1e-5
    assert relative_l2(operator.adjoint(y), exact_adjoint(y, points, matrix)) < 1e-5


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("n_coils", [1, 3])
def test_gradient_and_second_gradient_are_adjoints(matrix: tuple[int, int], n_coils: int) -> None:
    operator = CartesianOperator(sampled(matrix, (20, 7, 33)), matrix, n_coils, CPU)
    assert_linear_operator(operator, random_complex(3, n_coils, *matrix), random_complex(n_coils, 60, seed=1))


@settings(max_examples=30, deadline=None)
@given(ny=st.integers(2, 9), nx=st.integers(2, 9), seed=st.integers(0, 1000))
def test_a_full_grid_is_unitary(ny: int, nx: int, seed: int) -> None:
    operator = CartesianOperator([grid_points((ny, nx))], (ny, nx), 1, CPU)
    x = random_complex(1, 1, ny, nx, seed=seed)
    torch.testing.assert_close(operator.gram(x), x, rtol=1e-4, atol=1e-5)


def test_a_point_measured_twice_counts_twice_in_the_adjoint() -> None:
    point = np.array([[0.25, -0.5]])
    once, twice = (CartesianOperator([np.repeat(point, n, 0)], (8, 6), 1, CPU) for n in (1, 2))
    y = random_complex(1, 1)
    torch.testing.assert_close(twice.adjoint(y.expand(1, 2)), 2 * once.adjoint(y))
    assert_adjoint(twice, random_complex(1, 1, 8, 6), random_complex(1, 2, seed=1))


def test_both_edges_of_k_space_are_the_same_sample() -> None:
    operator = CartesianOperator([np.array([[0.5, 0.0], [-0.5, 0.0]])], (8, 6), 1, CPU)
    left, right = operator(random_complex(1, 1, 8, 6))[0]
    assert left == right


def test_the_centre_of_k_space_is_the_sum_over_the_root_of_the_size() -> None:
    operator = CartesianOperator([np.zeros((1, 2))], (4, 9), 1, CPU)
    torch.testing.assert_close(operator(torch.ones(1, 1, 4, 9, dtype=torch.complex64)).real, torch.tensor([[6.0]]))
