"""The priors on a series against their formulas, forward and backward."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from torch import Tensor

from dainr.kernels.compiling import plain_torch
from dainr.losses.smoothness import magnitude, spatial_variation, strain_energy, temporal_variation
from tests.helper import random_complex

pytestmark = pytest.mark.usefixtures("two_threads")
SERIES = torch.randn(5, 3, 4, dtype=torch.complex128, generator=torch.Generator().manual_seed(0))
ROUNDING = 0.3


def formula(z: Tensor) -> Tensor:
    return (z.real**2 + z.imag**2 + ROUNDING**2).sqrt().sum()


def steps(series: Tensor, cyclic: bool) -> Tensor:
    """x_t+1 - x_t, one frame after another."""
    last = len(series) if cyclic else len(series) - 1
    return torch.stack([series[(t + 1) % len(series)] - series[t] for t in range(last)])


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("n_frames", [2, 5])
def test_temporal_variation_and_its_gradient_are_those_of_the_formula(cyclic: bool, n_frames: int) -> None:
    series = SERIES[:n_frames].clone().requires_grad_()
    ours, theirs = temporal_variation(series, cyclic, ROUNDING), formula(steps(series, cyclic))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(2 * ours, series), torch.autograd.grad(2 * theirs, series))


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("plain", [True, False])
def test_each_step_in_time_has_its_weight(cyclic: bool, plain: bool) -> None:
    series = SERIES.clone().requires_grad_()
    weight = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0], dtype=torch.float64)
    theirs = sum(w * formula(step) for w, step in zip(weight, steps(series, cyclic), strict=False))
    with plain_torch() if plain else nullcontext():
        ours = temporal_variation(series, cyclic, ROUNDING, weight)
        assert isinstance(theirs, Tensor)
        torch.testing.assert_close(ours, theirs)
        torch.testing.assert_close(torch.autograd.grad(ours, series), torch.autograd.grad(theirs, series))


def test_magnitude_and_its_gradient_are_those_of_the_formula() -> None:
    series = SERIES.clone().requires_grad_()
    ours, theirs = magnitude(series, ROUNDING), formula(series)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(2 * ours, series), torch.autograd.grad(2 * theirs, series))


def test_spatial_variation_and_its_gradient_are_those_of_the_formula() -> None:
    series = SERIES.clone().requires_grad_()
    down = torch.cat([series.diff(dim=1), torch.zeros_like(series[:, :1])], 1)
    across = torch.cat([series.diff(dim=2), torch.zeros_like(series[:, :, :1])], 2)
    ours = spatial_variation(series, ROUNDING)
    theirs = (down.real**2 + down.imag**2 + across.real**2 + across.imag**2 + ROUNDING**2).sqrt().sum()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(torch.autograd.grad(2 * ours, series), torch.autograd.grad(2 * theirs, series))


@pytest.mark.parametrize("shape", [(5, 3, 4), (2, 1, 7), (3, 6, 1), (1, 2, 2)], ids=str)
@pytest.mark.parametrize("cyclic", [True, False])
def test_compiled_and_plain_forms_agree(shape: tuple[int, int, int], cyclic: bool) -> None:
    series = torch.randn(shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(2)).requires_grad_()

    def terms() -> list[tuple[Tensor, ...]]:
        values = (
            temporal_variation(series, cyclic, ROUNDING, 0.3),
            spatial_variation(series, ROUNDING, 0.3),
            magnitude(series, ROUNDING, 0.3),
        )
        return [(value, *torch.autograd.grad(value, series)) for value in values]

    compiled = terms()
    with plain_torch():
        torch.testing.assert_close(compiled, terms(), rtol=1e-5, atol=1e-6)


def test_the_series_itself_is_not_changed() -> None:
    series = SERIES.clone()
    temporal_variation(series, True, ROUNDING)
    spatial_variation(series, ROUNDING)
    magnitude(series, ROUNDING)
    assert torch.equal(series, SERIES)


@pytest.mark.parametrize("cyclic", [True, False])
def test_a_series_that_stands_still_does_not_vary(cyclic: bool) -> None:
    still = SERIES[:1].repeat(4, 1, 1).requires_grad_()
    value = temporal_variation(still, cyclic, 1e-9)
    assert float(value.detach()) == pytest.approx(1e-9 * (4 if cyclic else 3) * 12)
    assert not torch.autograd.grad(value, still)[0].any()


def test_a_jump_counts_with_its_size_and_its_return_only_in_a_cycle() -> None:
    series = torch.zeros(4, 1, 1, dtype=torch.complex128)
    series[2:] = 3 - 4j
    assert float(temporal_variation(series, False, 1e-9)) == pytest.approx(5)
    assert float(temporal_variation(series, True, 1e-9)) == pytest.approx(10)


def test_a_single_frame_has_no_variation() -> None:
    series = SERIES[:1].clone().requires_grad_()
    value = temporal_variation(series, False, ROUNDING)
    assert float(value.detach()) == 0
    assert not torch.autograd.grad(value, series)[0].any()


def test_zeros_have_a_gradient_and_it_is_zero() -> None:
    zeros = torch.zeros(2, 3, 3, dtype=torch.complex64, requires_grad=True)
    assert not torch.autograd.grad(magnitude(zeros, 1e-4), zeros)[0].any()


def test_strain_is_that_of_the_slopes() -> None:
    y, x = torch.arange(4.0)[:, None], torch.arange(6.0)
    control = torch.stack([2 * y + 0 * x, 3 * x + 0 * y]).expand(2, 2, 4, 6)
    assert float(strain_energy(control)) == 2 * (4 * 3 * 6 + 9 * 4 * 5)
    assert float(strain_energy(control - 7)) == 2 * (4 * 3 * 6 + 9 * 4 * 5)


def test_a_shift_of_everything_is_no_strain() -> None:
    assert float(strain_energy(torch.full((3, 2, 5, 5), 0.7))) == 0


@pytest.mark.parametrize("prior", [magnitude, spatial_variation, partial(temporal_variation, cyclic=True)])
def test_a_weight_scales_value_and_gradient_and_so_does_what_comes_after(prior: Callable[..., Tensor]) -> None:
    series = random_complex(4, 5, 6).requires_grad_()
    plain, weighted, after = (prior(series, rounding=ROUNDING, **w) for w in ({}, {"weight": 0.3}, {}))
    torch.testing.assert_close(weighted, 0.3 * plain)
    gradients = [torch.autograd.grad(value, series)[0] for value in (plain, weighted, 0.3 * after)]
    torch.testing.assert_close(gradients[1], 0.3 * gradients[0])
    torch.testing.assert_close(gradients[2], gradients[1])
