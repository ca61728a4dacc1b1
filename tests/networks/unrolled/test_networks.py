"""Every network: its size as published, any matrix, gradients to all parameters, brightness, time."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dainr.networks.unrolled import ARCHITECTURES
from dainr.networks.unrolled.unrolled import UnrolledNetwork
from tests.networks.unrolled.test_consistency import on_the_grid
from tests.networks.unrolled.test_layers import series

# Parameters of the published size, with a weight of consistency in each cascade (one where cascades share theirs).
PUBLISHED = {
    "cinenet": 3_546_624 + 6,
    "crnn": 372_866 + 1,
    "crunet": 4_537_930 + 5,
    "dun-sre": 647_532,
    "promptmr": 27_416_040 + 12,
    "unet3d": 4_024_778 + 1,
}
DEFAULTS = {
    "cinenet": 74_370,
    "crnn": 19_155,
    "crunet": 173_817,
    "dun-sre": 3_998,
    "promptmr": 358_164,
    "unet3d": 185_559,
}
RECURRENT = ("crnn", "crunet")


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def build(name: str, seed: int = 0, channels: int = 4, **sizes: Any) -> UnrolledNetwork:
    if name != "unet3d":
        sizes["cascades"] = 2
    torch.manual_seed(seed)
    architecture = ARCHITECTURES[name]
    return architecture.build(architecture.Config(channels=channels, **sizes))


def cascades(network: UnrolledNetwork, x: Tensor, cyclic: bool = True) -> Tensor:
    """All regularisers in turn, without data."""
    state = None
    for number in range(network.cascades):
        x, state = network.regularisers[number % len(network.regularisers)](x, state, cyclic)
    return x


@pytest.fixture(params=ARCHITECTURES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_parameters_are_as_many_as_published(name: str) -> None:
    architecture = ARCHITECTURES[name]
    assert parameters(architecture.build(architecture.paper)) == PUBLISHED[name]
    assert parameters(architecture.build(architecture.Config())) == DEFAULTS[name]


@pytest.mark.parametrize("cyclic", [True, False])
@pytest.mark.parametrize("shape", [(5, 2, 23, 30), (2, 2, 8, 3)])
def test_any_matrix_and_two_frames_do(name: str, cyclic: bool, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    with torch.no_grad():
        out = cascades(build(name), x, cyclic)
    assert out.shape == x.shape and torch.isfinite(out).all() and not torch.allclose(out, x, atol=1e-3)


def test_gradients_reach_every_parameter_at_the_first_step(name: str) -> None:
    measured, _ = on_the_grid(4)
    network = build(name, channels=8)  # with fewer all ReLUs of a layer may be shut
    network(measured).abs().square().sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, parameter_name


def test_brighter_images_come_out_as_much_brighter(name: str) -> None:
    network, x = build(name).double(), series(matrix=(9, 8)).double()
    with torch.no_grad():
        torch.testing.assert_close(cascades(network, 1e3 * x), 1e3 * cascades(network, x), rtol=1e-6, atol=1e-6)


def test_the_same_seed_gives_the_same_network(name: str) -> None:
    x = series(matrix=(9, 8))
    with torch.no_grad():
        one, same, other = (cascades(build(name, seed), x) for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_shift_in_time_of_a_cycle_commutes_where_nothing_recurs(name: str) -> None:
    network, x = build(name).double(), series(matrix=(9, 8)).double()
    with torch.no_grad():
        shifted, still = cascades(network, x.roll(2, 0)), cascades(network, x).roll(2, 0)
        assert torch.allclose(shifted, still) == (name not in RECURRENT)
        assert not torch.allclose(cascades(network, x.roll(2, 0), False), cascades(network, x, False).roll(2, 0))


def test_gradients_are_those_of_the_network(name: str) -> None:
    regulariser = build(name).regularisers[0].double()
    x = series(2, matrix=(3, 2)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: regulariser(x, None, True)[0], (x,), fast_mode=True)
