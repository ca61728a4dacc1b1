"""CINENet: complex convolutions, and phases that come out as they went in."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from dainr.networks.unrolled.cinenet import CineNet, CineNetConfig, ComplexConv, ModReLU
from tests.networks.unrolled.test_layers import series


def as_complex(parts: Tensor) -> Tensor:
    return torch.complex(*parts.chunk(2, 1))


def as_parts(z: Tensor) -> Tensor:
    return torch.cat([z.real, z.imag], 1)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (2, 2)])
def test_a_complex_convolution_is_one(size: int, stride: int) -> None:
    x = series(n_channels=4, matrix=(8, 6)).double()
    layer = ComplexConv(2, 3, size, stride).double()
    weight = torch.complex(layer.weight[0, 0], layer.weight[0, 1])
    expected = functional.conv2d(as_complex(x), weight, stride=stride, padding=size // 2 if stride == 1 else 0)
    torch.testing.assert_close(layer(x), as_parts(expected))


def test_taps_are_complex_outputs_one_after_another() -> None:
    x, layer = series(n_channels=4), ComplexConv(2, 3, 1, taps=3)
    for number, tap in enumerate(layer(x).chunk(3, 1)):
        weight = torch.complex(layer.weight[number, 0], layer.weight[number, 1])
        torch.testing.assert_close(tap, as_parts(functional.conv2d(as_complex(x), weight)))


def test_modrelu_shortens_and_keeps_phases() -> None:
    z = torch.polar(torch.tensor([0.0, 0.1, 0.5, 2.0]), torch.tensor([0.0, 1.0, 2.0, 3.0])).view(1, 1, 2, 2)
    layer = ModReLU(1)
    torch.nn.init.constant_(layer.bias, -0.3)
    out = as_complex(layer(as_parts(z)))
    torch.testing.assert_close(out.abs().flatten(), torch.tensor([0.0, 0.0, 0.2, 1.7]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out[0, 0, 1].angle(), z[0, 0, 1].angle())


def test_images_turned_by_a_phase_come_out_turned_by_it() -> None:
    network = CineNet(CineNetConfig(channels=4)).double()
    z = as_complex(series(matrix=(9, 10)).double())
    turn = torch.polar(torch.ones((), dtype=torch.float64), torch.tensor(0.7, dtype=torch.float64))
    with torch.no_grad():
        out, turned = (as_complex(network(as_parts(factor * z), None, True)[0]) for factor in (1, turn))
    torch.testing.assert_close(turned, turn * out)
    assert not torch.allclose(out, z, atol=1e-3)
