"""The multilayer perceptron against its formula."""

import torch

from dainr.fields.mlp import MLP


def make(*widths: int) -> MLP:
    torch.manual_seed(0)
    return MLP(widths)


def formula(net: MLP, x: torch.Tensor) -> torch.Tensor:
    """W3 relu(W2 relu(W1 x))."""
    first, second, third = (layer.weight for layer in net.layers)
    return torch.relu(torch.relu(x @ first.T) @ second.T) @ third.T


def test_output_and_gradients_are_those_of_the_formula() -> None:
    net, x = make(5, 8, 7, 3), torch.randn(10, 5)
    torch.testing.assert_close(net([x]), formula(net, x))
    ours = torch.autograd.grad(net([x]).square().sum(), list(net.parameters()))
    theirs = torch.autograd.grad(formula(net, x).square().sum(), list(net.parameters()))
    torch.testing.assert_close(ours, theirs)


def test_input_in_parts_is_the_concatenated_input() -> None:
    net, x = make(5, 8, 7, 3), torch.randn(10, 5)
    torch.testing.assert_close(net(list(x.split([2, 1, 2], 1))), net([x]))


def test_a_part_of_one_row_holds_for_all_points() -> None:
    net, x, row = make(5, 8, 7, 3), torch.randn(10, 3), torch.randn(1, 2)
    torch.testing.assert_close(net([x, row]), net([torch.cat([x, row.expand(10, 2)], 1)]))
    torch.testing.assert_close(net([row, x]), net([torch.cat([row.expand(10, 2), x], 1)]))


def test_there_is_no_bias_so_zero_stays_zero() -> None:
    net = make(5, 8, 7, 3)
    assert not net([torch.zeros(4, 5)]).any()
    assert sum(p.numel() for p in net.parameters()) == 5 * 8 + 8 * 7 + 7 * 3


def test_one_layer_is_linear() -> None:
    net, x = make(4, 2), torch.randn(6, 4)
    torch.testing.assert_close(net([-x]), -net([x]))


def test_inputs_are_not_changed() -> None:
    net, x = make(5, 8, 7, 3), torch.randn(10, 5)
    before = x.clone()
    net([x])
    assert torch.equal(x, before)
