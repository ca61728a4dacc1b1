"""An unrolled network: brightness, gradients with and without stored activations, consistency after each cascade."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dainr.networks.unrolled.unrolled import Regulariser, UnrolledNetwork
from tests.helper import random_complex
from tests.networks.unrolled.test_consistency import on_the_grid
from tests.operators import relative_l2


class Counting(Regulariser):
    """A convolution, which hands on how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor, state: Any, cyclic: bool) -> tuple[Tensor, Any]:
        state = torch.ones(()) if state is None else state + 1
        return x + state * self.layer(x), state


class Nothing(Regulariser):
    """Leaves images as they are."""

    def forward(self, x: Tensor, state: Any, cyclic: bool) -> tuple[Tensor, Any]:
        return x, state


def network(shared: bool = False) -> UnrolledNetwork:
    torch.manual_seed(0)
    return UnrolledNetwork([Counting()] if shared else [Counting() for _ in range(3)], 3, "gradient")


def test_brighter_data_give_brighter_images() -> None:
    measured, _ = on_the_grid(4)
    with torch.no_grad():
        assert relative_l2(network()(measured.scaled(100.0)), 100 * network()(measured)) <= 1e-5


def test_shared_weights_are_there_once() -> None:
    assert sum(p.numel() for p in network(True).parameters()) * 3 == sum(p.numel() for p in network().parameters())
    with pytest.raises(ValueError, match="2 regularisers for 3"):
        UnrolledNetwork([Counting(), Counting()], 3, "gradient")


@pytest.mark.parametrize("shared", [True, False])
def test_gradients_reach_all_parameters_and_what_was_measured(shared: bool) -> None:
    measured, _ = on_the_grid(4)
    images = random_complex(3, 8, 6, seed=2).requires_grad_()
    unrolled = network(shared)
    out = unrolled(measured.remeasured(images))
    with torch.no_grad():
        assert relative_l2(out, unrolled(measured.remeasured(images.detach()))) <= 1e-6
    out.abs().square().sum().backward()
    assert images.grad is not None and images.grad.abs().min() > 0
    for name, parameter in unrolled.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_a_start_around_the_average_is_right_where_nothing_moves() -> None:
    measured, _ = on_the_grid(4)
    still = random_complex(1, 8, 6, seed=2).expand(3, -1, -1).contiguous()
    seen = measured.remeasured(still)
    around = UnrolledNetwork([Nothing()], 1, "gradient", "average")
    gridded = UnrolledNetwork([Nothing()], 1, "gradient", "gridded")
    with torch.no_grad():
        assert relative_l2(around(seen), still) < 0.5 * relative_l2(gridded(seen), still)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_gradients_are_the_same_however_many_activations_are_kept(kept: int) -> None:
    (measured, _), unrolled, calls = on_the_grid(4), network(), list[int]()
    unrolled.room = 1
    unrolled(measured)  # notes what a cascade takes
    size = max(unrolled._sizes.values())
    assert size >= 2 * measured.rhs.numel() * 4
    for regulariser in unrolled.regularisers:
        regulariser.register_forward_hook(lambda *_: calls.append(1))
    gradients = []
    for room in (0, kept * size):
        unrolled.room = room
        unrolled.zero_grad()
        calls.clear()
        unrolled(measured).abs().square().sum().backward()
        gradients.append([p.grad.clone() for p in unrolled.parameters() if p.grad is not None])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert len(calls) == 3 + 3 - kept  # once each, and once more those that were not kept


def test_mixed_precision_is_of_steps_alone_and_near() -> None:
    (measured, _), unrolled, found = on_the_grid(4), network(), []
    for mixed in (False, True):
        unrolled.mixed = mixed
        unrolled.zero_grad()
        unrolled(measured).abs().square().sum().backward()
        gradients = torch.cat([p.grad.flatten() for p in unrolled.parameters() if p.grad is not None])
        with torch.no_grad():
            found.append((gradients, unrolled(measured)))
    assert 1e-6 < relative_l2(found[1][0], found[0][0]) < 2e-2
    assert torch.equal(found[0][1], found[1][1])
