"""Samples on the grid as arrays: the same measurement as by points, averaged where a cell was measured twice."""

import torch

from dainr.operators.measured import Measured, Measurements
from tests.helper import random_complex
from tests.operators import relative_l2
from tests.operators.test_acquisition import COUNTS, trajectory
from tests.operators.test_measured import measurements

FEW = torch.tensor([[True, False, False], [True, False, False], [False, True, True]])


def on_grid() -> Measurements:
    points = torch.from_numpy(trajectory((9, 12), True).reshape(-1, 2))
    cells = (points * torch.tensor([9, 12])).round().long() % torch.tensor([9, 12])
    return measurements("fft", cells[:, 0] * 12 + cells[:, 1])


def check(measured: Measured) -> None:
    assert measured.on_grid is not None
    samples, x = measured.on_grid(), random_complex(3, 9, 12)
    assert relative_l2(samples.combine(samples.kspace), measured.rhs) <= 1e-5
    assert relative_l2(samples.combine(samples.measure(x)), measured.gram(x)) <= 1e-5
    assert not samples.kspace[(samples.weights == 0)[:, None].expand_as(samples.kspace)].any()


def test_arrays_are_the_measurement_that_points_are() -> None:
    whole, x = on_grid(), random_complex(3, 9, 12, seed=8)
    for measured in (whole.of(), whole.of(FEW), whole.of(FEW.float() / 2)):
        check(measured)
        check(measured.scaled(3.0))
        check(measured.remeasured(x))
        check(measured.remeasured(x).scaled(torch.tensor(0.5)))
    check(whole.of_samples(whole.noise(torch.Generator().manual_seed(0))))
    assert sum(COUNTS) > int((whole.of().on_grid().weights > 0).sum())  # type: ignore[misc]  # some cells twice


def test_off_the_grid_there_are_none() -> None:
    measured = measurements("finufft").of()
    assert measured.on_grid is None and measured.scaled(2.0).on_grid is None
    assert measured.remeasured(random_complex(3, 9, 12)).on_grid is None


def test_other_samples_at_the_same_places() -> None:
    whole = on_grid()
    other = whole.of_samples(2 * whole.kspace)
    assert relative_l2(other.rhs, 2 * whole.of().rhs) <= 1e-6
    assert torch.allclose(other.energy, 4 * whole.of().energy)
    images = random_complex(3, 9, 12)
    again = whole.of_samples(whole.operator(images))
    assert relative_l2(again.rhs, whole.of().remeasured(images).rhs) <= 1e-5
    assert again.misfit(images).abs() <= 1e-4 * again.energy
