"""DUN-SRE: it turns along with a scan, its consistency, its twins."""

from statistics import median

import pytest
import torch

from benchmarks.turning import (
    learned_part,
    measured_on_grid,
    quarter,
    quarter_on_grid,
    smooth_on_grid,
    smooth_series,
    turn_error,
)
from dainr.errors import BadRequest
from dainr.networks.unrolled.consistency import GradientStep, NoStep
from dainr.networks.unrolled.dun_sre import PAPER, DunSreConfig, GroupNetwork, LearnedStep, build
from dainr.networks.unrolled.unrolled import UnrolledNetwork
from tests.networks.unrolled.test_consistency import on_the_grid
from tests.operators import relative_l2


def network(seed: int = 0, **sizes: int) -> UnrolledNetwork:
    torch.manual_seed(seed)
    return build(DunSreConfig(**{"consistency_channels": 1, **sizes})).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("n", [15, 16])
@torch.no_grad()
def test_images_turn_with_k_space_maps_and_mask(n: int, order: int) -> None:
    samples, unrolled = smooth_on_grid(n, 3, 2), network(order=order)
    out = unrolled(measured_on_grid(samples))
    found = unrolled(measured_on_grid(quarter_on_grid(samples)))
    assert relative_l2(found, quarter(out, n // 2)) <= 1e-12
    plain = network(order=1, channels=16)
    out = learned_part(plain, measured_on_grid(samples))
    assert relative_l2(learned_part(plain, measured_on_grid(quarter_on_grid(samples))), quarter(out, n // 2)) > 0.3


def test_45_degrees_on_smooth_objects() -> None:
    errors: dict[int, list[float]] = {1: [], 8: []}
    for order, found in errors.items():
        for seed in range(5):
            regulariser = network(seed, order=order, channels=16 if order == 1 else 4).regularisers[0]

            @torch.no_grad()
            def added(degrees: float, regulariser: torch.nn.Module = regulariser) -> torch.Tensor:
                parts = torch.view_as_real(smooth_series(48, 2, degrees)).permute(0, 3, 1, 2)
                return regulariser(parts, None, True)[0] - parts

            found.append(turn_error(added, 45.0))
    assert median(errors[8]) <= 1e-2
    assert median(errors[1]) > 0.3


def test_each_iteration_has_its_own_consistency_and_the_last_none() -> None:
    steps = build(DunSreConfig(cascades=4, consistency_channels=1)).consistencies
    assert [type(step) for step in steps] == [LearnedStep] * 3 + [NoStep]
    assert isinstance(build(DunSreConfig()).consistencies[0], GradientStep)
    assert PAPER.consistency_channels == 2
    with pytest.raises(BadRequest, match="cascades=1: that is too few"):
        DunSreConfig(cascades=1)


def test_parts_have_the_parameters_of_the_arithmetic() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    assert (count(GroupNetwork(2, 32, 4)), count(GroupNetwork(4, 2, 4))) == (64_332, 468)
    twin = DunSreConfig(order=1, channels=64, cascades=10, consistency_channels=4)
    assert abs(count(build(twin)) / 647_532 - 1) < 0.01


def test_without_its_network_the_consistency_is_a_gradient_step_on_and_off_the_grid() -> None:
    step = LearnedStep(1, 4).double()
    with torch.no_grad():
        step.h.last.weight.zero_()
        samples, x = smooth_on_grid(8, 3, 2), smooth_series(8, 3, 0.0, seed=1)
        for measured in (measured_on_grid(samples), on_the_grid(2)[0]):
            x = x[:, :, : measured.rhs.shape[2]].to(measured.rhs.dtype)
            step = step.to(x.real.dtype)
            expected = x - (measured.gram(x) - measured.rhs)
            assert relative_l2(step(x, measured), expected) <= 1e-5


def test_the_network_of_the_consistency_sees_each_coil_by_itself() -> None:
    samples, x = smooth_on_grid(8, 3, 2), smooth_series(8, 3, 0.0, seed=1)
    torch.manual_seed(0)
    step, seen = LearnedStep(1, 4).double(), list[torch.Tensor]()
    step.h.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        out = step(x, measured_on_grid(samples))
    predicted, wanted = samples.measure(x), samples.kspace
    for coil, parts in enumerate(seen):
        expected = [predicted[:, coil].real, wanted[:, coil].real, predicted[:, coil].imag, wanted[:, coil].imag]
        torch.testing.assert_close(parts, torch.stack(expected, 1))
    assert len(seen) == 2
    gap = x - samples.combine(predicted - wanted) - out
    assert 1e-4 < float(torch.linalg.vector_norm(gap) / torch.linalg.vector_norm(x)) < 1


def test_gradients_reach_the_consistency_through_k_space() -> None:
    unrolled, samples = network(channels=2), smooth_on_grid(8, 3, 2)
    images = smooth_series(8, 3, 0.0, seed=1).requires_grad_()
    measured = measured_on_grid(samples)
    unrolled(measured.remeasured(images)).abs().square().sum().backward()
    assert images.grad is not None and images.grad.abs().max() > 0
    for name, parameter in unrolled.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name
