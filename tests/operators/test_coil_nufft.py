"""The NUFFT of what is worked out before a fit: by FINUFFT, and where there is none by numpy and scipy."""

import subprocess
import sys

import numpy as np
import pytest

from dainr.operators.nufft import coils
from tests.io import exact_kspace, random_complex

SHAPE = (9, 14)


@pytest.fixture(params=["finufft", "without"])
def without(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With FINUFFT, and as where it is not installed."""
    if request.param == "without":
        monkeypatch.setattr(coils, "finufft", None)
    elif coils.finufft is None:
        pytest.skip("finufft is not installed")


@pytest.mark.parametrize("n_coils", [1, 3])
@pytest.mark.parametrize(
    ("tolerance", "dtype", "off"), [(1e-9, "complex128", 1e-8), (1e-6, "complex128", 1e-5), (1e-4, "complex64", 1e-3)]
)
def test_it_is_the_sum_over_pixels(without: None, n_coils: int, tolerance: float, dtype: str, off: float) -> None:
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 2))
    transform = coils.CoilNufft(points, SHAPE, n_coils, tolerance, dtype)
    images, samples = random_complex(n_coils, *SHAPE), random_complex(n_coils, 40, seed=1)
    found = transform.forward(images)
    expected = exact_kspace(images, points[None])[:, 0] * np.sqrt(SHAPE[0] * SHAPE[1])
    assert found.dtype == np.dtype(dtype)
    np.testing.assert_allclose(found, expected, atol=off * np.abs(expected).max())
    back = transform.adjoint(samples)
    assert back.dtype == np.dtype(dtype)
    assert np.vdot(back, images) == pytest.approx(np.vdot(samples, expected), rel=10 * off)


@pytest.mark.skipif(coils.finufft is None, reason="finufft is not installed")
@pytest.mark.parametrize("n_coils", [1, 2, 3])
def test_sums_have_one_order_however_many_threads_there_are(n_coils: int, two_threads: None) -> None:
    angle, radius = np.arange(60)[:, None] * 0.7, np.linspace(-0.5, 0.49, 64)
    points = np.stack([radius * np.sin(angle), radius * np.cos(angle)], -1).reshape(-1, 2)
    transform, samples = coils.CoilNufft(points, (32, 32), n_coils), random_complex(n_coils, len(points))
    first = transform.adjoint(samples)
    assert all(np.array_equal(transform.adjoint(samples), first) for _ in range(30))


WITHOUT = """
import sys
sys.modules["finufft"] = None
import torch, numpy as np
from dainr.operators.nufft import available_backends
from dainr.simulate.simulate import SimulationConfig, simulate_cine
print(available_backends(torch.device("cpu")))
print(simulate_cine(np.ones((2, 16, 16)), SimulationConfig(coils=2, spokes=3, frames=2)).kspace.shape)
"""


def test_without_finufft_the_others_are_there() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines() == ["['compiled', 'sparse', 'torchkbnufft']", "(1, 2, 6, 32)"]
