"""The FFT operator against the exact transform, on grids of every parity."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.operators.cartesian import CartesianMatrixOperator, CartesianOperator
from tests.helper import assert_adjoint, random_complex
from tests.operators import assert_linear_operator, exact_adjoint, exact_forward, relative_l2

CPU = torch.device("cpu")
MATRICES = [(12, 18), (9, 14), (7, 5)]
operators = pytest.mark.parametrize("kind", [CartesianOperator, CartesianMatrixOperator])
Kind = type[CartesianOperator] | type[CartesianMatrixOperator]


def grid_points(matrix: tuple[int, int]) -> np.ndarray:
    """Every k-space position of the matrix, `point 2`."""
    axes = [(np.arange(n) - n // 2) / n for n in matrix]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def sampled(matrix: tuple[int, int], counts: tuple[int, ...], seed: int = 0) -> list[np.ndarray]:
    """Some grid points for every frame, as many as `counts` says."""
    random, grid = np.random.default_rng(seed), grid_points(matrix)
    return [random.permutation(grid)[:n] for n in counts]


@operators
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("n_coils", [1, 3])
def test_equals_the_exact_transform(kind: Kind, matrix: tuple[int, int], n_coils: int) -> None:
    points = sampled(matrix, (20, 7, 33))
    operator = kind(points, matrix, n_coils, CPU)
    x, y = random_complex(3, n_coils, *matrix), random_complex(n_coils, 60, seed=1)
    assert relative_l2(operator(x), exact_forward(x, points, matrix)) < 1e-5
    assert relative_l2(operator.adjoint(y), exact_adjoint(y, points, matrix)) < 1e-5


@operators
@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("n_coils", [1, 3])
def test_gradient_and_second_gradient_are_adjoints(kind: Kind, matrix: tuple[int, int], n_coils: int) -> None:
    operator = kind(sampled(matrix, (20, 7, 33)), matrix, n_coils, CPU)
    assert_linear_operator(operator, random_complex(3, n_coils, *matrix), random_complex(n_coils, 60, seed=1))


@settings(max_examples=30, deadline=None)
@given(ny=st.integers(2, 9), nx=st.integers(2, 9), seed=st.integers(0, 1000))
def test_a_full_grid_is_unitary(ny: int, nx: int, seed: int) -> None:
    operator = CartesianOperator([grid_points((ny, nx))], (ny, nx), 1, CPU)
    x = random_complex(1, 1, ny, nx, seed=seed)
    torch.testing.assert_close(operator.gram(x), x, rtol=1e-4, atol=1e-5)


@operators
def test_a_point_measured_twice_counts_twice_in_the_adjoint(kind: Kind) -> None:
    point = np.array([[0.25, -0.5]])
    once, twice = (kind([np.repeat(point, n, 0)], (8, 6), 1, CPU) for n in (1, 2))
    y = random_complex(1, 1)
    torch.testing.assert_close(twice.adjoint(y.expand(1, 2)), 2 * once.adjoint(y))
    assert_adjoint(twice, random_complex(1, 1, 8, 6), random_complex(1, 2, seed=1))


@operators
def test_both_edges_of_k_space_are_the_same_sample(kind: Kind) -> None:
    operator = kind([np.array([[0.5, 0.0], [-0.5, 0.0]])], (8, 6), 1, CPU)
    left, right = operator(random_complex(1, 1, 8, 6))[0]
    assert left == right


@operators
def test_the_centre_of_k_space_is_the_sum_over_the_root_of_the_size(kind: Kind) -> None:
    operator = kind([np.zeros((1, 2))], (4, 9), 1, CPU)
    torch.testing.assert_close(operator(torch.ones(1, 1, 4, 9, dtype=torch.complex64)).real, torch.tensor([[6.0]]))


@operators
def test_some_frames_are_those_of_the_whole(kind: Kind) -> None:
    points = sampled((7, 5), (20, 7, 33))
    operator, x = kind(points, (7, 5), 2, CPU), random_complex(3, 2, 7, 5)
    whole = operator(x).split([20, 7, 33], 1)
    for frames in ([1], [2, 0], [0, 1, 2]):
        torch.testing.assert_close(operator.select(frames)(x[frames]), torch.cat([whole[f] for f in frames], 1))
