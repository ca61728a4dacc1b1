"""Every network: its size as published, any matrix, gradients to all parameters, brightness, time."""

from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from dainr.networks.unrolled import crnn, crunet
from dainr.networks.unrolled.unrolled import UnrolledNetwork
from tests.networks.unrolled.test_consistency import on_the_grid
from tests.networks.unrolled.test_layers import series

SMALL = {
    crnn: crnn.CRNNConfig(channels=4, cascades=2),
    crunet: crunet.CRUNetConfig(channels=4, cascades=2),
}
PUBLISHED = {crnn: 372_867, crunet: 4_537_930 + 5}  # and a consistency weight of each cascade, if not counted there
DEFAULTS = {crnn: 19_155, crunet: 173_817}
OF_CYCLES = ()  # networks that commute with a shift in time


def parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def build(module: ModuleType, seed: int = 0, **sizes: Any) -> UnrolledNetwork:
    torch.manual_seed(seed)
    return module.build(type(SMALL[module])(**sizes) if sizes else SMALL[module])


def cascades(network: UnrolledNetwork, x: Tensor, cyclic: bool = True) -> Tensor:
    """All regularisers in turn, without data."""
    state = None
    for number in range(network.cascades):
        x, state = network.regularisers[number % len(network.regularisers)](x, state, cyclic)
    return x


@pytest.fixture(params=SMALL, ids=lambda module: module.__name__.rpartition(".")[2])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def test_parameters_are_as_many_as_published(module: ModuleType) -> None:
    with torch.device("meta"):
        assert parameters(module.build(module.PAPER)) == PUBLISHED[module]
        assert parameters(module.build(type(module.PAPER)())) == DEFAULTS[module]


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("shape", [(5, 2, 23, 30), (2, 2, 8, 3)])
def test_any_matrix_and_two_frames_do(module: ModuleType, cyclic: bool, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    with torch.no_grad():
        out = cascades(build(module), x, cyclic)
    assert out.shape == x.shape and torch.isfinite(out).all() and not torch.allclose(out, x, atol=1e-3)


def test_gradients_reach_every_parameter_at_the_first_step(module: ModuleType) -> None:
    measured, _ = on_the_grid(4)
    network = build(module, channels=8)  # with fewer all ReLUs of a layer may be shut
    network(measured).abs().square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_brighter_images_come_out_as_much_brighter(module: ModuleType) -> None:
    network, x = build(module).double(), series(matrix=(9, 8)).double()
    with torch.no_grad():
        torch.testing.assert_close(cascades(network, 1e3 * x), 1e3 * cascades(network, x), rtol=1e-6, atol=1e-6)


def test_the_same_seed_gives_the_same_network(module: ModuleType) -> None:
    x = series(matrix=(9, 8))
    with torch.no_grad():
        one, same, other = (cascades(build(module, seed), x) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_time_shifts_commute_where_nothing_recurs(module: ModuleType) -> None:
    network, x = build(module).double(), series(matrix=(9, 8)).double()
    with torch.no_grad():
        shifted, still = cascades(network, x.roll(2, 0)), cascades(network, x).roll(2, 0)
        assert torch.allclose(shifted, still) == (module in OF_CYCLES)
        assert not torch.allclose(cascades(network, x.roll(2, 0), False), cascades(network, x, False).roll(2, 0))


def test_gradients_are_those_of_the_network(module: ModuleType) -> None:
    regulariser = build(module).regularisers[0].double()
    x = series(2, matrix=(3, 2)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: regulariser(x, None, True)[0], (x,), fast_mode=True)
