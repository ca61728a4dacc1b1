"""DISTS: its values by another implementation, and what holds of any weights."""

import numpy as np
import pytest
import torch
from torch import nn

from dainr.networks import dists
from dainr.networks.dists import Dists, Halved


@pytest.fixture(scope="module")
def network() -> Dists:
    """With weights drawn in the order of its layers."""
    network = Dists()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in network.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network.requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(1)
    truth = random.random((2, 32, 48))
    noisy = np.clip(truth + 0.2 * random.standard_normal(truth.shape), 0, 1)
    return torch.from_numpy(noisy).float(), torch.from_numpy(truth).float()


WHOLE = torch.ones(1, 32, 48, dtype=torch.bool)


def test_it_gives_the_values_of_the_authors_program(network: Dists, images: tuple[torch.Tensor, torch.Tensor]) -> None:
    np.testing.assert_allclose(network(*images, WHOLE)[0], [0.040716, 0.046224], rtol=1e-3)


def test_nothing_is_nearer_than_the_image_itself_and_the_order_does_not_matter(
    network: Dists, images: tuple[torch.Tensor, torch.Tensor]
) -> None:
    image, truth = images
    np.testing.assert_allclose(network(truth, truth, WHOLE), 0, atol=1e-5)
    torch.testing.assert_close(network(image, truth, WHOLE), network(truth, image, WHOLE))


def test_a_region_counts_its_own_errors(network: Dists, images: tuple[torch.Tensor, torch.Tensor]) -> None:
    _, truth = images
    image = truth.clone()
    image[:, :, :8] = 1 - image[:, :, :8]
    left, right = torch.zeros_like(WHOLE[0]), torch.zeros_like(WHOLE[0])
    left[:, :8], right[:, 24:] = True, True
    near, far, both = network(image, truth, torch.stack([left, right, WHOLE[0]]))
    assert (near > both).all() and (both > far).all()


def test_halving_keeps_a_constant_and_smooths_what_alternates() -> None:
    inner = np.s_[..., 1:, 1:]
    np.testing.assert_allclose(Halved()(torch.full((1, 2, 10, 12), 3.0))[inner], 3, rtol=1e-5)
    stripes = torch.tensor([2.0, 0.0]).repeat(8).expand(1, 1, 16, 16)
    np.testing.assert_allclose(Halved()(stripes)[inner], np.sqrt(2), rtol=1e-5)


def test_a_file_is_known_by_its_checksum_alone() -> None:
    assert dists.part_of("397923af" + 56 * "0") == "vgg16"
    assert dists.part_of(dists.SHA256["dists"]) == "dists"
    assert dists.part_of(64 * "0") is None
