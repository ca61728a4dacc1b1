"""The Huber loss of the residual: value and gradients against autograd of its formula, and its two regimes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dainr.kernels.huber_cpu import POINTS_AT_A_TIME, huber_cpu
from dainr.losses import robust
from dainr.losses.robust import huber_data
from dainr.operators import Acquisition, Batch, FrameData, fourier
from dainr.operators.nufft import compiled
from dainr.operators.nufft.window import oversampled
from tests.helper import random_complex
from tests.losses.test_data import Pixels
from tests.operators.test_acquisition import COUNTS, make

pytestmark = pytest.mark.usefixtures("two_threads")
MATRIX, NOISE, THRESHOLD = (9, 12), 0.4, 1.5
MAPS = random_complex(3, *MATRIX, seed=6)
WEIGHT = torch.rand(sum(COUNTS), generator=torch.Generator().manual_seed(3)) + 0.1
each = pytest.mark.parametrize("backend", ["fft", "finufft", "compiled", "sparse", "torchkbnufft"])


def data(backend: str) -> FrameData:
    """Three frames of unequal numbers of readouts."""
    starts = [0, *torch.tensor(COUNTS).cumsum(0).tolist()]
    kspace, density = random_complex(3, sum(COUNTS), seed=1), torch.ones(sum(COUNTS))
    return FrameData(kspace, density, torch.arange(3.0), make(backend), (0.0, 1.0, 2.0), tuple(starts))


def formula(images: Tensor, maps: Tensor, batch: Batch, weight: Tensor) -> Tensor:
    """sum_j w_j h(|A x - y|_j / sigma) through the operators' own autograd."""
    a = (batch.operator.fourier(images[:, None] * maps) - batch.kspace).abs() / NOISE
    return (weight * torch.where(a < THRESHOLD, a**2 / 2, THRESHOLD * a - THRESHOLD**2 / 2)).sum()


def loss(images: Tensor, maps: Tensor, batch: Batch, weight: Tensor) -> Tensor:
    return huber_data(images, maps, batch, weight, NOISE, THRESHOLD)


@each
@pytest.mark.parametrize("frames", [None, [2, 0]], ids=["all frames", "some, in another order"])
@pytest.mark.parametrize("at_a_time", [1, 2, 3])
def test_value_and_gradients_are_those_of_the_formula(
    backend: str, frames: list[int] | None, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fourier, "ELEMENTS_AT_A_TIME", at_a_time * MAPS.numel())
    monkeypatch.setattr(compiled, "ELEMENTS_AT_A_TIME", at_a_time * 3 * math.prod(oversampled(MATRIX)))
    batch = data(backend).batch(frames)
    weight = WEIGHT[: batch.kspace.shape[1]]
    images = random_complex(len(batch.frames), *MATRIX).requires_grad_()
    maps = MAPS.clone().requires_grad_()
    residual = (batch.operator.with_maps(MAPS)(images.detach()) - batch.kspace).abs() / NOISE
    assert (residual < THRESHOLD).any()
    assert (residual > THRESHOLD).any()
    ours, theirs = loss(images, maps, batch, weight), formula(images, maps, batch, weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0.0)
    for found, expected in zip(
        torch.autograd.grad(3 * ours, [images, maps]), torch.autograd.grad(3 * theirs, [images, maps]), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


@each
def test_fixed_maps_leave_the_gradient_of_the_images_as_it_is(backend: str) -> None:
    images, maps = random_complex(3, *MATRIX).requires_grad_(), MAPS.clone().requires_grad_()
    batch = data(backend).batch()
    (fixed,) = torch.autograd.grad(loss(images, MAPS, batch, WEIGHT), images)
    (free,) = torch.autograd.grad(loss(images, maps, batch, WEIGHT), images)
    torch.testing.assert_close(fixed, free, rtol=0, atol=0)


@each
def test_the_loss_and_its_gradients_are_zero_at_the_truth(backend: str) -> None:
    images, maps = random_complex(3, *MATRIX).requires_grad_(), MAPS.clone().requires_grad_()
    measured = data(backend)
    measured.kspace.copy_(measured.operator.with_maps(MAPS)(images.detach()))
    value = loss(images, maps, measured.batch(), WEIGHT)
    away = loss(1.1 * images, maps, measured.batch(), WEIGHT)
    assert float(value.detach()) < 1e-6 * float(away.detach())
    for gradient, other in zip(
        torch.autograd.grad(value, [images, maps]), torch.autograd.grad(away, [images, maps]), strict=True
    ):
        assert float(gradient.abs().max()) < 1e-3 * float(other.abs().max())


def one_sample(residual: complex, noise_std: float, threshold: float) -> float:
    """The loss of a single sample with that residual."""
    operator = Acquisition(torch.ones(1, 1, 1) + 0j, Pixels([np.zeros((1, 2))], (1, 1), 1, torch.device("cpu")))
    batch = Batch((0.0,), torch.zeros(1), torch.zeros(1, 1) + 0j, torch.ones(1), operator)
    image = torch.full((1, 1, 1), residual, dtype=torch.complex64)
    return float(huber_data(image, torch.ones(1, 1, 1) + 0j, batch, torch.ones(1), noise_std, threshold))


@settings(deadline=None)
@given(size=st.floats(0.0, 50.0), phase=st.floats(0, 6.3), noise=st.floats(0.01, 10), threshold=st.floats(0.1, 5))
def test_it_is_quadratic_within_the_threshold_and_linear_beyond(
    size: float, phase: float, noise: float, threshold: float
) -> None:
    direction = complex(torch.polar(torch.tensor(noise), torch.tensor(phase)))
    value, further = (one_sample(s * direction, noise, threshold) for s in (size, size + 1))
    if size >= threshold:
        assert further - value == pytest.approx(threshold, rel=1e-3, abs=1e-4 * threshold * size)
    else:
        assert value == pytest.approx(size**2 / 2, rel=1e-4, abs=1e-6)


def test_samples_of_no_weight_do_not_count() -> None:
    batch, images = data("fft").batch(), random_complex(3, *MATRIX)
    weight = WEIGHT.clone()
    weight[:20] = 0
    before = loss(images, MAPS, batch, weight)
    batch.kspace[:, :20] *= 5
    assert loss(images, MAPS, batch, weight) == before
    assert loss(images, MAPS, batch, WEIGHT) != before


@pytest.mark.parametrize("points", [1, 7, POINTS_AT_A_TIME, 2 * POINTS_AT_A_TIME + 3])
def test_compiled_and_plain_forms_agree(points: int) -> None:
    samples, kspace = (random_complex(3, points, seed=seed) for seed in (0, 1))
    kspace[:, 0] = samples[:, 0]
    weight, threshold = torch.rand(2, points, generator=torch.Generator().manual_seed(3))
    ours, theirs = samples.clone(), samples.clone()
    value = huber_cpu(ours, kspace, weight, 2 * threshold)
    torch.testing.assert_close(value, robust._huber(theirs, kspace, weight, 2 * threshold))
    torch.testing.assert_close(ours, theirs)


def test_each_point_has_its_threshold_and_tells_what_is_missed_there() -> None:
    batch, images = data("fft").batch(), random_complex(3, *MATRIX)
    threshold, squares = torch.where(torch.arange(len(WEIGHT)) < 20, 0.5, 4.0), torch.empty(len(WEIGHT))
    value = huber_data(images, MAPS, batch, WEIGHT, NOISE, threshold, squares)
    a = (batch.operator.with_maps(MAPS)(images) - batch.kspace).abs() / NOISE
    expected = WEIGHT * torch.where(a < threshold, a**2 / 2, threshold * a - threshold**2 / 2)
    torch.testing.assert_close(value, expected.sum())
    torch.testing.assert_close(squares, a.square().sum(0))


def test_a_sample_that_is_not_finite_is_not_hidden() -> None:
    samples = random_complex(2, 5)
    samples[1, 3] = math.nan
    value, squares = huber_cpu(samples, random_complex(2, 5, seed=1), torch.ones(5), torch.full((5,), THRESHOLD))
    assert value.isnan()
    assert squares.isnan().nonzero().tolist() == [[3]]
    assert samples[1, 3].isnan()
