"""Whole lines by products: the same numbers as the FFT, on grids of every parity, and chosen where they are fewer."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dainr.operators.acquisition import Acquisition
from dainr.operators.cartesian import CartesianOperator
from dainr.operators.cartesian_lines import MOST_LINES, LinesOperator, make_cartesian, whole_lines
from tests.helper import random_complex
from tests.operators import assert_linear_operator, exact_forward, relative_l2

pytestmark = pytest.mark.usefixtures("two_threads")
CPU = torch.device("cpu")
MATRICES = [(12, 18), (9, 14), (8, 5), (7, 9)]


def lines(matrix: tuple[int, int], numbers: list[list[int]], columns: range | None = None) -> list[np.ndarray]:
    """Points of the lines of every frame, counted from the first of the matrix; `columns` of them, or all."""
    ny, nx = matrix
    kx = (np.array(columns or range(nx)) - nx // 2) / nx
    frames = [(np.array(frame) - ny // 2) / ny for frame in numbers]
    return [np.stack(np.broadcast_arrays(ky[:, None], kx), -1).reshape(-1, 2) for ky in frames]


def pair(points: list[np.ndarray], matrix: tuple[int, int]) -> tuple[CartesianOperator, LinesOperator]:
    by_products = make_cartesian(points, matrix, 3, CPU)
    assert isinstance(by_products, LinesOperator)
    return CartesianOperator(points, matrix, 3, CPU), by_products


@settings(max_examples=40, deadline=None)
@given(ny=st.integers(2, 11), nx=st.integers(2, 11), n_frames=st.integers(1, 4), seed=st.integers(0, 1000))
def test_samples_and_both_adjoints_are_those_of_the_fft(ny: int, nx: int, n_frames: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = [random.permutation(ny)[: random.integers(1, ny + 1)].tolist() for _ in range(n_frames)]
    first = int(random.integers(0, nx - 1))
    points = lines((ny, nx), frames, range(first, int(random.integers(first + 2, nx + 1))))
    plain, by_products = pair(points, (ny, nx))
    images, maps = random_complex(n_frames, ny, nx, seed=seed), random_complex(3, ny, nx, seed=seed + 1)
    samples = plain.measure(images, maps)
    torch.testing.assert_close(by_products.measure(images, maps), samples, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(
        by_products.measure_adjoint(samples, maps, images), plain.measure_adjoint(samples, maps, images), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        by_products.measure_adjoint(samples, maps)[0], plain.measure_adjoint(samples, maps)[0], rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("matrix", MATRICES, ids=str)
def test_equals_the_exact_transform_and_gradients_are_adjoints(matrix: tuple[int, int]) -> None:
    points = lines(matrix, [[0, 3], [1, 2, 6, 6], [5]])
    maps = random_complex(3, *matrix, seed=5)
    operator = Acquisition(maps, pair(points, matrix)[1])
    x = random_complex(3, *matrix)
    assert relative_l2(operator(x), exact_forward(x[:, None] * maps, points, matrix)) < 1e-5
    assert_linear_operator(operator, x, random_complex(3, sum(map(len, points)), seed=1))


def test_frames_may_be_chosen() -> None:
    points, maps = lines((12, 18), [[0, 3], [1, 2, 6], [5]]), random_complex(3, 12, 18)
    operator, x = Acquisition(maps, pair(points, (12, 18))[1]), random_complex(3, 12, 18)
    rows = operator(x).split([36, 54, 18], 1)
    torch.testing.assert_close(operator.select([2, 0])(x[[2, 0]]), torch.cat([rows[2], rows[0]], 1))


def test_the_same_input_gives_the_same_bits() -> None:
    points, maps = lines((96, 80), [list(range(0, 96, 4))] * 9), random_complex(3, 96, 80)
    operator, x = pair(points, (96, 80))[1], random_complex(9, 96, 80)
    samples = operator.measure(x, maps)
    assert torch.equal(operator.measure(x, maps), samples)
    once, again = (operator.measure_adjoint(samples, maps, x) for _ in range(2))
    assert torch.equal(once[0], again[0]) and torch.equal(once[1], again[1])  # type: ignore[arg-type]


def test_only_whole_lines_along_x_that_all_begin_and_end_alike_are_lines() -> None:
    whole = [np.rint(p * (8, 6)) for p in lines((8, 6), [[0, 3], [1, 2, 6], [5]])]
    assert whole_lines(whole) == 6
    shorter = [*whole[:2], whole[2][:-1]]
    moved = [*whole[:2], whole[2] + [0, 1]]
    mixed = [whole[0], whole[1][[0, 1, 2, 6, 7, 8, *range(3, 6), *range(9, 18)]], whole[2]]
    for other in (shorter, moved, mixed, [p[:, ::-1] for p in whole], [np.zeros((4, 2))[i : i + 1] for i in range(2)]):
        assert whole_lines(other) == 0


def test_many_lines_and_single_points_take_the_fft() -> None:
    ny = MOST_LINES + 4
    for points in (lines((ny, 6), [list(range(MOST_LINES + 1))]), [np.array([[0.25, -0.5], [0, 0]])]):
        assert not isinstance(make_cartesian(points, (ny, 6), 1, CPU), LinesOperator)
    assert isinstance(make_cartesian(lines((ny, 6), [list(range(MOST_LINES))]), (ny, 6), 1, CPU), LinesOperator)
