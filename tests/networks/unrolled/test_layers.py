"""Layers over space and time: the ends of a series, recurrence in both directions, normalisation."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dainr.errors import BadRequest
from dainr.networks.unrolled.layers import (
    RecurrentUnit,
    ResidualRegulariser,
    SpaceThenTime,
    SpaceTimeConv,
    check_sizes,
    neighbour,
    normalise,
    taken_over,
)


def series(n_frames: int = 5, n_channels: int = 2, matrix: tuple[int, int] = (7, 6), seed: int = 0) -> Tensor:
    return torch.randn(n_frames, n_channels, *matrix, generator=torch.Generator().manual_seed(seed))


class Half(ResidualRegulariser):
    """Adds half of what it sees, and says what it saw."""

    multiple = 4
    seen = torch.empty(0)

    def residual(self, x: Tensor, state: Any, cyclic: bool) -> tuple[Tensor, Any]:
        self.seen = x
        return x / 2, state


def test_a_network_sees_mean_zero_deviation_one_and_a_padded_matrix() -> None:
    x, network = 30 * series() + 5, Half()
    out, _ = network(x, None, True)
    assert network.seen.shape == (5, 2, 8, 8) and network.seen[:, :, 7:].abs().max() == 0
    shown = network.seen[:, :, :7, :6]
    torch.testing.assert_close(shown.mean(), torch.tensor(0.0), atol=1e-6, rtol=0)
    torch.testing.assert_close(shown.std(correction=0), torch.tensor(1.0))
    torch.testing.assert_close(out, x + (x - x.mean()) / 2)


def test_black_images_stay_finite() -> None:
    normalised, deviation = normalise(torch.zeros(2, 2, 4, 4), centred=True)
    assert torch.isfinite(normalised).all() and deviation > 0


@pytest.mark.parametrize("offset", [-7, -2, -1, 0, 1, 2, 7])
def test_neighbours_wrap_in_a_cycle_and_stand_still_at_ends(offset: int) -> None:
    x, n = torch.arange(4.0)[:, None], 4
    assert neighbour(x, offset, True).flatten().tolist() == [(t + offset) % n for t in range(n)]
    assert neighbour(x, offset, False).flatten().tolist() == [min(max(t + offset, 0), n - 1) for t in range(n)]


@pytest.mark.parametrize("cyclic", [True, False])
def test_a_convolution_over_space_and_time_is_one(cyclic: bool) -> None:
    layer, x = SpaceTimeConv(2, 3, 3, dilation=2).double(), series().double()
    ends = (x[-1:], x[:1]) if cyclic else (x[:1], x[-1:])
    padded = torch.cat([ends[0], x, ends[1]]).transpose(0, 1)
    weight = layer.taps.weight.view(3, 3, 2, 3, 3).permute(1, 2, 0, 3, 4)  # output input time y x
    nn.init.normal_(layer.bias)
    expected = functional.conv3d(padded[None], weight, layer.bias, padding=(0, 2, 2), dilation=(1, 2, 2))[0]
    torch.testing.assert_close(layer(x, cyclic), expected.transpose(0, 1))


def test_convolutions_commute_with_a_shift_in_time_of_a_cycle_alone() -> None:
    layer, x = SpaceThenTime(2, 4, dilation=2), series()
    torch.testing.assert_close(layer(x.roll(2, 0), True), layer(x, True).roll(2, 0))
    assert not torch.allclose(layer(x.roll(2, 0), False), layer(x, False).roll(2, 0))


def test_a_recurrent_unit_is_its_formula() -> None:
    unit, x, before = RecurrentUnit(2, 3, "forward", dilation=2), series(), series(n_channels=3, seed=1)
    hidden = torch.zeros(1, 3, 7, 6)
    for t, out in enumerate(unit(x, before)):
        hidden = torch.relu(unit.i2h(x[t : t + 1]) + unit.h2h(hidden) + unit.ih2ih(before[t : t + 1]))
        torch.testing.assert_close(out, hidden[0])


def test_before_the_first_cascade_hidden_states_are_zero() -> None:
    unit, x = RecurrentUnit(2, 3, "forward"), series()
    torch.testing.assert_close(unit(x, None), unit(x, torch.zeros(5, 3, 7, 6)), atol=1e-6, rtol=1e-5)
    convolution = nn.Conv2d(3, 3, 3, padding=1)
    zeros = torch.zeros(5, 3, 7, 6)
    torch.testing.assert_close(taken_over(convolution, None).expand_as(zeros), convolution(zeros))


def test_both_directions_are_symmetric_in_time_and_one_is_the_other_reversed() -> None:
    both, forward, backward = (RecurrentUnit(2, 3, direction) for direction in ("both", "forward", "backward"))
    for unit in (forward, backward):
        unit.load_state_dict(both.state_dict())
    x, before = series(), series(n_channels=3, seed=1)
    torch.testing.assert_close(both(x.flip(0), before.flip(0)), both(x, before).flip(0))
    torch.testing.assert_close(backward(x.flip(0), before.flip(0)), forward(x, before).flip(0))
    torch.testing.assert_close(both(x, before), forward(x, before) + backward(x, before))
    assert not torch.allclose(forward(x, before), backward(x, before))


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
def test_gradients_of_a_unit(direction: Any) -> None:
    torch.manual_seed(0)
    unit = RecurrentUnit(1, 2, direction).double()
    x, before = series(3, 1, (3, 2)).double().requires_grad_(), series(3, 2, (3, 2), 1).double().requires_grad_()
    assert torch.autograd.gradcheck(unit, (x, before))


def test_sizes_too_small_are_named() -> None:
    check_sizes(channels=(3, 3))
    with pytest.raises(BadRequest, match="cascades=1: that is too few; choose 2 or more"):
        check_sizes(channels=(3, 3), cascades=(1, 2))
