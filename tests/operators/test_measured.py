"""Measurements by groups of readouts: sums, misfits without a transform of their own, and noise."""

from dataclasses import replace
from itertools import accumulate

import pytest
import torch

from dainr.operators import FrameData
from dainr.operators.crowding import Crowding
from dainr.operators.measured import Measurements
from tests.helper import random_complex
from tests.operators import relative_l2
from tests.operators.test_acquisition import COUNTS, make, trajectory

GROUP = torch.tensor([0, 1, 0, 0, 1, 2]).repeat_interleave(8)  # of the readouts of three frames


def measurements(backend: str = "finufft", cells: torch.Tensor | None = None) -> Measurements:
    data = FrameData(
        kspace=random_complex(3, sum(COUNTS), seed=3),
        density=torch.ones(sum(COUNTS)),
        times=torch.arange(3.0),
        operator=make(backend),
        frames=(0.0, 1.0, 2.0),
        starts=tuple(accumulate(map(int, COUNTS), initial=0)),
    )
    points = torch.from_numpy(trajectory((9, 12), backend == "fft").reshape(-1, 2))
    crowding = Crowding(points, list(map(int, COUNTS)), (9, 12), torch.device("cpu"))
    return Measurements(data, GROUP, crowding, noise_std=0.1, cells=cells)


each = pytest.mark.parametrize("backend", ["fft", "finufft"])


@each
def test_groups_add_up_to_the_whole(backend: str) -> None:
    whole, x = measurements(backend), random_complex(3, 9, 12)
    assert whole.filled.tolist() == [[True, True, False], [True, False, False], [True, True, True]]
    parts = [whole.of((torch.arange(3) == group).float().expand(3, 3)) for group in range(3)]
    assert relative_l2(torch.stack([part.rhs for part in parts]).sum(0), whole.of().rhs) <= 1e-6
    assert relative_l2(torch.stack([part.gram(x) for part in parts]).sum(0), whole.of().gram(x)) <= 1e-6
    assert float(sum(part.energy for part in parts)) == pytest.approx(float(whole.of().energy), rel=1e-5)
    assert float(sum(part.weight for part in parts)) == pytest.approx(float(whole.of().weight), rel=1e-5)


@each
def test_misfit_is_the_weighted_distance_from_the_samples(backend: str) -> None:
    whole, x = measurements(backend), random_complex(3, 9, 12)
    missed = whole.operator(x) - whole.kspace
    expected = (whole.weights * missed.abs().square()).sum() / x.numel()
    assert float(whole.of().misfit(x)) == pytest.approx(float(expected), rel=1e-4)


@each
def test_misfit_of_what_was_measured_again_is_zero(backend: str) -> None:
    x = random_complex(3, 9, 12)
    again = measurements(backend).of().remeasured(x)
    assert abs(float(again.misfit(x))) <= 1e-5 * float(again.energy)


def test_gradient_of_the_misfit_reaches_images_and_what_was_measured_again() -> None:
    measured = measurements().of()
    x = random_complex(3, 9, 12).requires_grad_()
    measured.misfit(x).backward()
    assert x.grad is not None
    assert relative_l2(x.grad, 2 * (measured.gram(x.detach()) - measured.rhs) / x.numel()) <= 1e-5
    truth = random_complex(3, 9, 12, seed=4).requires_grad_()
    measured.remeasured(truth).misfit(x.detach()).backward()
    assert truth.grad is not None and truth.grad.abs().max() > 0


def test_no_gradient_step_of_one_overshoots() -> None:
    measured, x = measurements().of(), random_complex(3, 9, 12)
    for _ in range(5):
        before = float(measured.misfit(x))
        x = x - (measured.gram(x) - measured.rhs)
        assert float(measured.misfit(x)) < before


def test_samples_count_by_the_area_that_those_chosen_have_left_them() -> None:
    whole = measurements("finufft")
    few = torch.tensor([[True, False, False], [True, False, False], [True, True, False]])
    weights = whole.of(few).gram.weights / whole.weights
    chosen = few.reshape(-1)[GROUP + 3 * torch.arange(3).repeat_interleave(torch.tensor(COUNTS))]
    assert (weights[~chosen] == 0).all() and (weights[chosen] >= 0.9999).all() and weights.max() > 1.01
    assert relative_l2(whole.of(few.float()).gram.weights, whole.weights * chosen) <= 1e-6


@each
def test_noise_is_white_in_the_samples(backend: str) -> None:
    whole, generator, x = measurements(backend), torch.Generator().manual_seed(0), random_complex(3, 9, 12)
    seen = torch.stack([(whole.of_samples(whole.noise(generator)).rhs * x.conj()).sum() for _ in range(400)])
    expected = (whole.weights * whole.operator(x)).abs().square().sum()
    assert float(seen.abs().square().mean() / expected) == pytest.approx(1, abs=0.15)
    assert torch.equal(whole.noise(torch.Generator().manual_seed(0)), whole.noise(torch.Generator().manual_seed(0)))


@each
def test_the_average_is_the_still_image_nearest_to_all_readouts(backend: str) -> None:
    whole, still = measurements(backend).of(), random_complex(9, 12, seed=4)
    seen = whole.remeasured(still.expand(3, -1, -1).contiguous())
    again = replace(seen, rhs=seen.rhs).average.expand(3, -1, -1).contiguous()
    assert float(seen.misfit(again)) < 0.05 * float(seen.energy) / seen.rhs.numel()
    assert seen.average is seen.average and not seen.average.requires_grad
