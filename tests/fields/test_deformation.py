"""The displacement of points over time."""

from typing import Any

import pytest
import torch
from torch import Tensor

from dainr.errors import BadRequest
from dainr.fields.deformation import Deformation, DeformationConfig
from dainr.fields.hash_grid import GridConfig, HashGrid

TABLE = GridConfig(levels=3, finest=32, log2_table=10, indexing="hash")
POINTS = 2 * torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) - 1


def make(encoding: str, **changes: Any) -> Deformation:
    torch.manual_seed(0)
    net = Deformation(DeformationConfig(encoding=encoding, table=TABLE, width=16, **changes), "native")
    if encoding == "hash":
        torch.nn.init.normal_(net.grid.table)
    return net


def displacement(net: Deformation, time: float, points: Tensor = POINTS) -> Tensor:
    return net(net.encode(points), torch.full((1, 1), time))


both = pytest.mark.parametrize("encoding", ["frequency", "hash"])


@both
def test_displacement_differs_from_point_to_point_and_time_to_time(encoding: str) -> None:
    net = make(encoding)
    early, late = displacement(net, 0.2), displacement(net, 0.8)
    assert early.shape == (20, 2)
    assert early.std(0).min() > 0
    assert not torch.allclose(early, late, rtol=1e-3)


@both
def test_zero_weights_move_nothing(encoding: str) -> None:
    net = make(encoding)
    for layer in net.net.layers:
        torch.nn.init.zeros_(layer.weight)
    assert not displacement(net, 0.5).any()


@both
def test_a_small_step_in_space_or_time_changes_little(encoding: str) -> None:
    net = make(encoding)
    here = displacement(net, 0.4)
    assert (displacement(net, 0.4 + 1e-5) - here).abs().max() < 1e-3 * here.abs().max()
    assert (displacement(net, 0.4, POINTS + 1e-6) - here).abs().max() < 1e-2 * here.abs().max()


@both
def test_every_parameter_learns(encoding: str) -> None:
    net = make(encoding)
    displacement(net, 0.4).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_the_published_network_has_five_layers_of_128() -> None:
    net = Deformation(DeformationConfig(), "native")
    assert [tuple(layer.weight.shape) for layer in net.net.layers] == [(128, 55), *[(128, 128)] * 3, (2, 128)]


def test_what_is_fixed_is_encoded_once_and_what_learns_is_not() -> None:
    assert make("frequency").encode(POINTS).shape == (20, 42)
    hashed = make("hash")
    assert hashed.encode(POINTS) is POINTS
    assert isinstance(hashed.grid, HashGrid)


@pytest.mark.parametrize("changes", [{"layers": 1}, {"width": 0}, {"degree_xy": -1}, {"degree_t": -1}])
def test_impossible_networks_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(BadRequest, match="out of range"):
        DeformationConfig(**changes)
