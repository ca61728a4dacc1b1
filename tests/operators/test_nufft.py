"""Every NUFFT backend against the exact transform, its adjoint and its gradients; choosing among them."""

import importlib
import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from dainr.errors import BadRequest, MissingBackend
from dainr.operators import nufft
from dainr.operators.cartesian import CartesianOperator
from dainr.operators.fourier import FourierOperator, frame_points
from dainr.operators.nufft import BACKENDS, available_backends, choose_backend, make_nufft
from tests.helper import random_complex
from tests.operators import assert_linear_operator, exact_adjoint, exact_forward, relative_l2
from tests.operators.test_cartesian import grid_points

pytestmark = pytest.mark.usefixtures("two_threads")
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
COUNTS = (40, 7, 61)  # points of three frames
on_cuda = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")]
backends = pytest.mark.parametrize(
    ("name", "device"),
    [
        (name, "cpu") if device == "cpu" else pytest.param(name, device, marks=on_cuda)
        for name, (_, _, _, devices) in BACKENDS.items()
        for device in devices
    ],
)
matrices = pytest.mark.parametrize("matrix", [(16, 24), (21, 15), (5, 4)], ids=str)
coils = pytest.mark.parametrize("n_coils", [1, 3])


def tolerances(name: str) -> tuple[float, float]:
    """Relative l2 error allowed of forward and adjoint."""
    return (1e-3, 1e-3) if name == "torchkbnufft" else (1e-4, 5e-4)


def scattered(seed: int = 0) -> list[np.ndarray]:
    """Points of three frames anywhere in k-space, single precision as a trajectory is."""
    random = np.random.default_rng(seed)
    return [random.uniform(-0.5, 0.5, (n, 2)).astype(np.float32).astype(np.float64) for n in COUNTS]


def make(name: str, device: str, points: list[np.ndarray], matrix: tuple[int, int], n_coils: int) -> FourierOperator:
    if name == "cufinufft":
        pytest.importorskip("cufinufft")
    return make_nufft(name, points, matrix, n_coils, torch.device(device))


@backends
@matrices
@coils
def test_equals_the_exact_transform(name: str, device: str, matrix: tuple[int, int], n_coils: int) -> None:
    points = scattered()
    operator = make(name, device, points, matrix, n_coils)
    x, y = random_complex(3, n_coils, *matrix).to(device), random_complex(n_coils, sum(COUNTS), seed=1).to(device)
    forward, adjoint = tolerances(name)
    assert relative_l2(operator(x), exact_forward(x, points, matrix)) < forward
    assert relative_l2(operator.adjoint(y), exact_adjoint(y, points, matrix)) < adjoint


@backends
@matrices
@coils
def test_gradient_and_second_gradient_are_adjoints(
    name: str, device: str, matrix: tuple[int, int], n_coils: int
) -> None:
    operator = make(name, device, scattered(), matrix, n_coils)
    x, y = random_complex(3, n_coils, *matrix), random_complex(n_coils, sum(COUNTS), seed=1)
    assert_linear_operator(operator, x.to(device), y.to(device))


@backends
@pytest.mark.parametrize("matrix", [(12, 16), (9, 7)], ids=str)
def test_on_grid_points_it_is_the_fft(name: str, device: str, matrix: tuple[int, int]) -> None:
    points = [grid_points(matrix)]
    x = random_complex(1, 2, *matrix)
    plain = CartesianOperator(points, matrix, 2, CPU)(x).numpy()
    assert relative_l2(make(name, device, points, matrix, 2)(x.to(device)), plain) < tolerances(name)[0]


@backends
def test_points_at_and_a_rounding_beyond_the_edge_of_k_space_are_exact(name: str, device: str) -> None:
    points = [np.array([[-0.5, 0.5], [0.5, -0.5], [0.50009, -0.50009], [0.0, 0.5], [-0.5, 0.0]])]
    x = random_complex(1, 1, 14, 11).to(device)
    truth = exact_forward(x, points, (14, 11))
    assert relative_l2(make(name, device, points, (14, 11), 1)(x), truth) < tolerances(name)[0]


@backends
def test_select_gives_the_rows_of_the_full_operator(name: str, device: str) -> None:
    operator, x = make(name, device, scattered(), (10, 12), 2), random_complex(3, 2, 10, 12).to(device)
    first, second, third = operator(x).split(COUNTS, 1)
    chosen = operator.select([2, 0])
    torch.testing.assert_close(chosen(x[[2, 0]]), torch.cat([third, first], 1), rtol=0, atol=0)
    torch.testing.assert_close(chosen.select([1])(x[:1]), first, rtol=0, atol=0)
    torch.testing.assert_close(operator.select([1])(x[1:2]), second, rtol=0, atol=0)
    images = operator.adjoint(operator(x))
    torch.testing.assert_close(chosen.adjoint(chosen(x[[2, 0]])), images[[2, 0]], rtol=0, atol=0)


@backends
def test_conjugate_views_and_strided_inputs_are_read_right(name: str, device: str) -> None:
    operator = make(name, device, scattered(), (10, 12), 2)
    x, y = random_complex(3, 2, 12, 10).to(device).mT, random_complex(sum(COUNTS), 2).to(device).T
    torch.testing.assert_close(operator(x.conj()), operator(x.conj().resolve_conj().contiguous()), rtol=0, atol=0)
    plain = operator.adjoint(y.conj().resolve_conj().contiguous())
    torch.testing.assert_close(operator.adjoint(y.conj()), plain, rtol=0, atol=0)


@backends
@coils
def test_the_same_input_gives_the_same_bits(name: str, device: str, n_coils: int) -> None:
    operator, x = make(name, device, scattered(), (16, 16), n_coils), random_complex(3, n_coils, 16, 16).to(device)
    samples = operator(x)
    assert all(torch.equal(operator(x), samples) for _ in range(5))
    if device == "cpu" or name == "sparse":  # those of other libraries add atomically on CUDA
        images = operator.adjoint(samples)
        assert all(torch.equal(operator.adjoint(samples), images) for _ in range(30))


def test_frame_points_collects_the_readouts_of_each_frame() -> None:
    trajectory = np.arange(24, dtype=np.float32).reshape(4, 3, 2)
    points = frame_points(trajectory, np.array([1, 0, 1, 1]), 2)
    np.testing.assert_array_equal(points[0], trajectory[1])
    np.testing.assert_array_equal(points[1], trajectory[[0, 2, 3]].reshape(9, 2))


def test_backends_for_the_cpu_run_on_the_cpu() -> None:
    assert available_backends(CPU) == ["compiled", "finufft", "sparse", "torchkbnufft"]


@pytest.mark.parametrize(("name", "device"), [("finufft", CPU), ("cufinufft", CUDA), ("torchkbnufft", CPU)])
def test_a_backend_that_is_not_installed_says_how_to_install_it(
    name: str, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    assert available_backends(device) == []
    with pytest.raises(MissingBackend, match=f"{name} is not installed; run: pip install {name}, or use auto"):
        make_nufft(name, scattered(), (8, 8), 1, device)


def test_a_backend_whose_libraries_are_missing_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(module: str) -> None:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)
    monkeypatch.setattr(importlib, "import_module", fails)
    assert available_backends(CUDA) == ["sparse", "torchkbnufft"]
    with pytest.raises(MissingBackend, match=r"cufinufft does not load here \(libcudart.*\); use nufft=auto"):
        make_nufft("cufinufft", scattered(), (8, 8), 1, CUDA)


def test_on_cuda_nothing_is_raced() -> None:
    assert choose_backend(scattered()[0], (8, 8), 2, CUDA) == ("sparse", {})


def test_cufinufft_is_given_contiguous_coordinates(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Plan:
        def __init__(self, *arguments: object, **settings: object) -> None: ...

        def setpts(self, *coordinates: torch.Tensor) -> None:
            given.extend(coordinates)

    fake = ModuleType("cufinufft")
    fake.Plan = Plan  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cufinufft", fake)
    name = "dainr.operators.nufft.cufinufft"
    monkeypatch.setitem(sys.modules, name, fake)  # so that what is imported now goes with the test
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=0))
    module = importlib.import_module(name)
    module.CufinufftOperator(scattered(), (8, 8), 1, CPU)
    assert len(given) == 4 * len(COUNTS)
    assert all(coordinates.is_contiguous() for coordinates in given)


def test_a_backend_for_another_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: package)
    with pytest.raises(MissingBackend, match="does not run on cpu; use nufft=auto"):
        make_nufft("cufinufft", scattered(), (8, 8), 1, CPU)


def test_finufft_on_cuda_means_its_cuda_edition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    with pytest.raises(MissingBackend, match="pip install cufinufft"):
        make_nufft("finufft", scattered(), (8, 8), 1, CUDA)


def test_an_unknown_backend_names_those_there_are() -> None:
    with pytest.raises(BadRequest, match=r"nufft=fast: .*finufft, sparse, cufinufft, torchkbnufft"):
        make_nufft("fast", scattered(), (8, 8), 1, CPU)


@pytest.mark.parametrize(
    ("seconds", "best"),
    [
        ((4.0, 1.0, 2.0), "finufft"),
        ((4.0, 3.0, 1.0), "sparse"),
        ((9.0, 1.1, 1.0), "finufft"),
    ],
    ids=["fastest", "last", "tie keeps the order of preference"],
)
def test_choose_takes_the_fastest(seconds: tuple[float, ...], best: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("compiled", "finufft", "sparse")
    took = dict(zip((BACKENDS[name][1] for name in names), seconds, strict=True))
    monkeypatch.setattr(nufft, "_time_once", lambda operator, image: took[type(operator).__name__])
    name, timings = choose_backend(scattered()[0], (8, 8), 1, CPU)
    assert name == best
    assert timings == dict(zip(names, seconds, strict=True))


def test_choose_measures_every_installed_backend_but_the_slow_one() -> None:
    name, timings = choose_backend(scattered()[0], (8, 8), 2, CPU)
    assert set(timings) == set(available_backends(CPU)) - {"torchkbnufft"}
    assert name in timings
    assert min(timings.values()) > 0
