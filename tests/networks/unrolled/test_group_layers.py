"""Group convolutions: each turns along with its input, tags of channels and frames stay apart, filters are turned."""

from collections.abc import Callable
from statistics import median

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.equivariance import LAYERS, Between
from benchmarks.turning import quarter, smooth_series, turn_error
from dainr.networks.unrolled.group_filters import SIZE, Order, _waves, turned_basis
from dainr.networks.unrolled.group_layers import SLOPE, Inner, Lift, Project, Temporal, wrapped

ORDERS: tuple[Order, ...] = (4, 8)
N_IN, N_OUT = 2, 3


def fields(n: int, channels: int, seed: int = 0) -> Tensor:
    return torch.randn(3, channels, n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turned_fields(x: Tensor) -> Tensor:
    return quarter(x, x.shape[-1] // 2)


def turned_features(x: Tensor, order: int) -> Tensor:
    """Turned by 90 degrees, and moved on along the axis of rotations."""
    return turned_fields(x).unflatten(1, (-1, order)).roll(order // 4, 2).flatten(1, 2)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("n", [9, 10])
@pytest.mark.parametrize("kind", [Lift, Inner, Temporal, Project])
def test_every_layer_turns_by_90_degrees_along_with_its_input(kind: type[nn.Module], n: int, order: Order) -> None:
    torch.manual_seed(0)
    layer = kind(N_IN, N_OUT, order).double()
    x = fields(n, N_IN if kind is Lift else N_IN * order)

    def applied(x: Tensor) -> Tensor:
        return layer(x, True) if kind is Temporal else layer(wrapped(x, layer.margin))

    turned = turned_fields(x) if kind is Lift else turned_features(x, order)
    with torch.no_grad():
        out, found = applied(x), applied(turned)
    expected = turned_fields(out) if kind is Project else turned_features(out, order)
    assert out.shape[2:] == x.shape[2:] and out.abs().max() > 0.1
    assert (found - expected).abs().max() <= 1e-12
    assert (found - out).abs().max() > 0.1


def test_zeros_around_an_even_image_spoil_it() -> None:
    torch.manual_seed(0)
    layer, x = Lift(N_IN, N_OUT, 4).double(), fields(10, N_IN)
    with torch.no_grad():
        out, found = (layer(functional.pad(z, (1, 1, 1, 1))) for z in (x, turned_fields(x)))
    assert (found - turned_features(out, 4)).abs().max() > 0.1


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_order_8_turn_by_45_degrees_with_smooth_objects_and_plain_ones_do_not(name: str) -> None:
    errors: dict[Order, list[float]] = {1: [], 8: []}
    for order, found in errors.items():
        for seed in range(5):
            torch.manual_seed(seed)
            found.append(turn_error(on_smooth_series(Between(LAYERS[name], order).double()), 45.0))
    assert median(errors[8]) <= 1e-2
    assert median(errors[1]) > 0.3


def on_smooth_series(layers: nn.Module) -> Callable[[float], Tensor]:
    """What layers make of a series, by its angle."""

    @torch.no_grad()
    def change(degrees: float) -> Tensor:
        return layers(torch.view_as_real(smooth_series(48, 2, degrees)).permute(0, 3, 1, 2))

    return change


@pytest.mark.parametrize("order", ORDERS)
def test_a_projection_is_the_sum_of_an_inner_convolution_over_its_rotations(order: Order) -> None:
    inner, project = Inner(N_IN, N_OUT, order).double(), Project(N_IN, N_OUT, order).double()
    project.load_state_dict(inner.state_dict())
    x = fields(9, N_IN * order)
    torch.testing.assert_close(project(x), inner(x).unflatten(1, (N_OUT, order)).sum(2))


@pytest.mark.parametrize("order", [1, *ORDERS])
def test_the_formulas_of_the_layers(order: Order) -> None:
    torch.manual_seed(0)
    inner, temporal = Inner(N_IN, N_OUT, order).double(), Temporal(N_IN, N_OUT, order).double()
    x = fields(7, N_IN * order)
    split = x.unflatten(1, (N_IN, order))
    out, over_time = inner(x).unflatten(1, (N_OUT, order)), temporal(x, True).unflatten(1, (N_OUT, order))
    for r in range(order):
        expected, by_time = torch.zeros_like(out[:, :, r]), torch.zeros_like(over_time[:, :, r])
        for s in range(order):
            filters = torch.einsum("oib,byx->oiyx", inner.weight[:, :, (s - r) % order], inner.basis[r])
            expected += functional.conv2d(split[:, :, s], filters)
            for tap, weight in enumerate(temporal.weight[..., (s - r) % order]):
                by_time += torch.einsum("oi,fiyx->foyx", weight, split[:, :, s].roll(1 - tap, 0))
        torch.testing.assert_close(out[:, :, r], expected)
        torch.testing.assert_close(over_time[:, :, r], by_time)


def test_channels_and_frames_do_not_mix() -> None:
    """Every channel of every frame and rotation has a tag; a layer that takes one from the frame before takes that."""
    order, n_frames = 4, 5
    layer = Temporal(N_IN, N_IN, order)
    tags = torch.arange(float(n_frames * N_IN * order)).view(n_frames, N_IN * order, 1, 1)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0, 1, 0] = 1  # to channel 0, from channel 1, of the frame before and of the same rotation
        for cyclic in (True, False):
            out = layer(tags, cyclic).view(n_frames, N_IN, order)
            before = [-1 % n_frames if cyclic else 0, *range(n_frames - 1)]
            assert torch.equal(out[:, 0], tags.view(n_frames, N_IN, order)[before, 1])
            assert not out[:, 1].any()


def test_features_keep_their_mean_square() -> None:
    torch.manual_seed(0)
    bend = nn.LeakyReLU(SLOPE)
    x = torch.randn(6, 2, 24, 24)
    for order in (1, *ORDERS):
        out = bend(Lift(2, 16, order)(x))
        for layer in (Inner(16, 16, order), Temporal(16, 16, order), Project(16, 8, order)):
            out = bend(layer(out, True) if isinstance(layer, Temporal) else layer(out))
            assert 0.2 < float(out.square().mean().detach()) < 3, (order, layer)


def test_filters_of_90_degrees_are_the_same_pixels_and_of_45_the_same_function() -> None:
    for order in ORDERS:
        basis = turned_basis(order)
        assert basis.shape[0] == order and basis.shape[2:] == (SIZE[order],) * 2
        for r in range(order):
            assert torch.equal(basis[(r + order // 4) % order], torch.rot90(basis[r], 1, (1, 2)))
    assert len(turned_basis(4)[0]) == 9 <= len(turned_basis(8)[0])
    assert turned_basis(1).shape == (1, 9, 3, 3)
    np.testing.assert_allclose(_waves(np.pi / 2, 5), np.rot90(_waves(0.0, 5), 1, (1, 2)), atol=1e-12)


def test_a_wave_sees_nearly_the_same_filter_at_45_degrees() -> None:
    basis = turned_basis(8).double().numpy()
    y, x = np.meshgrid(*[np.arange(5) - 2.0] * 2, indexing="ij")
    for frequency in (0.5, 1.0):
        at_0 = np.exp(-1j * frequency * x)
        at_45 = np.exp(-1j * frequency * np.sqrt(0.5) * (x - y))
        seen, turned = (basis[0] * at_0).sum((1, 2)), (basis[1] * at_45).sum((1, 2))
        assert np.linalg.norm(turned - seen) < 0.01 * np.linalg.norm(seen)
        assert np.linalg.norm(basis[0] * at_0 - basis[0] * at_45) > 0.1 * np.linalg.norm(seen)


def test_functions_that_another_machine_may_choose_differently_are_kept_with_the_weights() -> None:
    assert {order: "basis" in Lift(1, 1, order).state_dict() for order in (1, *ORDERS)} == {1: False, 4: False, 8: True}
    layer, other = Lift(1, 1, 8), Lift(1, 1, 8)
    layer.basis.neg_()
    other.load_state_dict(layer.state_dict())
    x = torch.randn(1, 1, 9, 9)
    assert torch.equal(other(x), layer(x))


def test_images_wrap_around_however_small_they_are() -> None:
    x = fields(5, 1)
    torch.testing.assert_close(wrapped(x, 2), functional.pad(x, (2, 2, 2, 2), mode="circular"))
    assert torch.equal(wrapped(x, 7)[..., 7:12, 7:12], x) and wrapped(x, 7).shape[2:] == (19, 19)
