"""MDSR: its shape and its names."""

import pytest
import torch

from dainr.networks.encoders.mdsr import MDSR, RGB_MEAN
from dainr.networks.weights import load_encoder


@pytest.fixture(scope="module")
def network() -> MDSR:
    return load_encoder("mdsr", "random", 0)


def official_names() -> dict[str, tuple[int, ...]]:
    """Names and shapes in the official checkpoint, spelled out from the layers that made it."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, n_out: int, n_in: int, kernel: int) -> None:
        shapes[f"{name}.weight"] = (n_out, n_in, kernel, kernel)
        shapes[f"{name}.bias"] = (n_out,)

    conv("sub_mean", 3, 3, 1)
    conv("add_mean", 3, 3, 1)
    conv("head.0", 64, 3, 3)
    for scale in range(3):
        for block in (0, 1):
            for layer in (0, 2):  # the ReLU between them has index 1
                conv(f"pre_process.{scale}.{block}.body.{layer}", 64, 64, 5)
    for block in range(16):
        for layer in (0, 2):
            conv(f"body.{block}.body.{layer}", 64, 64, 3)
    conv("body.16", 64, 64, 3)
    conv("upsample.0.0", 256, 64, 3)  # x2
    conv("upsample.1.0", 576, 64, 3)  # x3
    conv("upsample.2.0", 256, 64, 3)  # x4 is x2 twice; the pixel shuffle between them has index 1
    conv("upsample.2.2", 256, 64, 3)
    conv("tail.0", 3, 64, 3)
    return shapes


def test_names_and_shapes_are_those_of_the_official_checkpoint(network: MDSR) -> None:
    assert {name: tuple(value.shape) for name, value in network.state_dict().items()} == official_names()


def test_it_has_as_many_parameters_as_the_baseline(network: MDSR) -> None:
    assert sum(p.numel() for p in network.parameters()) == 3_227_227


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_images_come_out_scale_times_larger(network: MDSR, scale: int) -> None:
    image = torch.rand(1, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    assert network(image, scale).shape == (1, 3, 5 * scale, 8 * scale)
    assert network.trunk(image, scale).shape == (1, 64, 5, 8)


def test_every_scale_has_its_own_path(network: MDSR) -> None:
    image = torch.rand(1, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    assert not torch.allclose(network.trunk(image, 2), network.trunk(image, 3))


def test_the_mean_colour_is_taken_off_before_and_put_back_after(network: MDSR) -> None:
    mean = 255 * torch.tensor(RGB_MEAN)[None, :, None, None]
    torch.testing.assert_close(network.sub_mean(mean), torch.zeros_like(mean), atol=1e-4, rtol=0)
    torch.testing.assert_close(network.add_mean(torch.zeros_like(mean)), mean)


def test_a_fit_uses_it_frozen(network: MDSR) -> None:
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
