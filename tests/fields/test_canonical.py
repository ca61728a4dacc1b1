"""The canonical network: complex values at points of canonical space."""

import pytest
import torch
from torch import Tensor

from dainr.errors import BadRequest
from dainr.fields.canonical import Canonical, CanonicalConfig
from dainr.fields.frequency import frequency_encode
from dainr.fields.hash_grid import GridConfig

CONFIG = CanonicalConfig(table=GridConfig(levels=3, finest=32, log2_table=10), width=8)
POINTS = 2 * torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) - 1
TIME = torch.full((1, 1), 0.3)


def make(n_features: int = 0) -> Canonical:
    torch.manual_seed(0)
    net = Canonical(CONFIG, n_features, "native")
    torch.nn.init.normal_(net.grid.table)
    return net


def value(net: Canonical, deformed: Tensor = POINTS, time: Tensor = TIME, features: Tensor | None = None) -> Tensor:
    return net(deformed, frequency_encode(POINTS, CONFIG.degree_xy), time, features)


def test_values_are_complex_one_a_point_and_depend_on_point_and_time() -> None:
    net = make()
    values = value(net)
    assert values.dtype == torch.complex64
    assert values.shape == (20,)
    assert not torch.allclose(values, value(net, time=TIME + 0.5), rtol=1e-3)
    assert not torch.allclose(values, value(net, deformed=-POINTS), rtol=1e-3)


def test_the_grid_is_read_at_the_deformed_point_mapped_to_the_unit_square() -> None:
    net = make()
    seen = []
    net.grid.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    value(net, deformed=torch.tensor([[-1.0, 1.0]]).expand(20, 2))
    torch.testing.assert_close(seen[0][0], torch.tensor([0.0, 1.0]))


def test_image_features_change_the_value() -> None:
    net, features = make(6), torch.rand(20, 6)
    assert not torch.allclose(value(net, features=features), value(net, features=2 * features), rtol=1e-3)


def test_real_and_imaginary_part_and_every_parameter_learn() -> None:
    net = make(6)
    values = value(net, features=torch.rand(20, 6))
    (values.real.sum() + 2 * values.imag.sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in net.parameters())


def test_the_published_network_has_the_published_widths() -> None:
    net = Canonical(CanonicalConfig(table=GridConfig(log2_table=4)), 128, "native")
    shapes = [tuple(p.shape) for name, p in net.named_parameters() if name != "grid.table"]
    assert shapes == [(64, 32 + 42 + 13 + 128), (64, 64), (64, 64), (64, 64), (2, 64)]


@pytest.mark.parametrize("changes", [{"width": 0}, {"degree_xy": -1}, {"degree_t": -1}])
def test_impossible_networks_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(BadRequest, match="out of range"):
        CanonicalConfig(**changes)
