"""The acquisition operator: coil maps and each frame's own samples, on grid and off."""

import numpy as np
import pytest
import torch

from dainr.operators import Acquisition, acquisition
from dainr.operators.cartesian import CartesianOperator
from dainr.operators.nufft.finufft import FinufftOperator
from dainr.operators.nufft.sparse import SparseNufftOperator
from tests.helper import random_complex
from tests.operators import assert_linear_operator, exact_forward, relative_l2

CPU = torch.device("cpu")
FRAME = np.array([0, 0, 1, 2, 2, 2])  # readouts of three frames: two, one, three
N_SAMPLES = 8
COUNTS = tuple(N_SAMPLES * np.bincount(FRAME))


def trajectory(matrix: tuple[int, int], cartesian: bool) -> np.ndarray:
    """Random readouts, on the grid of the matrix or off it."""
    random = np.random.default_rng(0)
    k = random.uniform(-0.5, 0.5, (len(FRAME), N_SAMPLES, 2))
    if cartesian:
        k = np.floor(k * np.array(matrix)) / np.array(matrix)
    return k.astype(np.float32)


def make(backend: str, matrix: tuple[int, int] = (9, 12), n_coils: int = 3) -> Acquisition:
    maps = random_complex(n_coils, *matrix, seed=5).numpy()
    cartesian = backend == "fft"
    readouts = trajectory(matrix, cartesian)
    return acquisition(maps, readouts, FRAME, 3, cartesian, "auto" if cartesian else backend, CPU)


each = pytest.mark.parametrize("backend", ["fft", "compiled", "finufft", "sparse", "torchkbnufft"])


@each
@pytest.mark.parametrize("matrix", [(9, 12), (14, 7)], ids=str)
@pytest.mark.parametrize("n_coils", [1, 3])
def test_gradient_and_second_gradient_are_adjoints(backend: str, matrix: tuple[int, int], n_coils: int) -> None:
    operator = make(backend, matrix, n_coils)
    assert_linear_operator(operator, random_complex(3, *matrix), random_complex(n_coils, sum(COUNTS), seed=1))


@each
@pytest.mark.parametrize("matrix", [(9, 12), (14, 7)], ids=str)
def test_measures_the_coil_weighted_image(backend: str, matrix: tuple[int, int]) -> None:
    operator, x = make(backend, matrix), random_complex(3, *matrix)
    readouts = trajectory(matrix, backend == "fft").astype(np.float64)
    points = [readouts[frame == FRAME].reshape(-1, 2) for frame in range(3)]
    truth = exact_forward(x[:, None] * random_complex(3, *matrix, seed=5), points, matrix)
    assert relative_l2(operator(x), truth) < (1e-3 if backend == "torchkbnufft" else 1e-4)


@each
def test_select_gives_the_rows_of_the_full_operator(backend: str) -> None:
    operator, x = make(backend), random_complex(3, 9, 12)
    rows = operator(x).split(COUNTS, 1)
    chosen = operator.select([2, 0])
    assert (chosen.n_frames, operator.n_frames) == (2, 3)
    assert type(chosen.fourier) is type(operator.fourier)
    torch.testing.assert_close(chosen(x[[2, 0]]), torch.cat([rows[2], rows[0]], 1), rtol=0, atol=0)
    torch.testing.assert_close(operator(x), torch.cat(rows, 1), rtol=0, atol=0)
    assert_linear_operator(chosen, x[:2], random_complex(3, COUNTS[2] + COUNTS[0], seed=1))


def test_on_grid_data_takes_the_fft_and_off_grid_data_what_is_named() -> None:
    assert isinstance(make("fft").fourier, CartesianOperator)
    assert isinstance(make("finufft").fourier, FinufftOperator)
    assert isinstance(make("sparse").fourier, SparseNufftOperator)


@each
def test_other_maps_measure_with_the_same_samples(backend: str) -> None:
    operator, x, maps = make(backend), random_complex(3, 9, 12), random_complex(3, 9, 12, seed=6)
    other = operator.with_maps(maps)
    torch.testing.assert_close(other(x), operator.fourier(x[:, None] * maps))
    assert relative_l2(operator(x), other(x).numpy()) > 0.1
    assert_linear_operator(other, x, random_complex(3, sum(COUNTS), seed=1))
