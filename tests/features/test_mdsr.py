"""MDSR: its shape, its names, and loading a checkpoint."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dainr.errors import BadRequest
from dainr.features.mdsr import MDSR, RGB_MEAN, load_mdsr


@pytest.fixture(scope="module")
def network() -> MDSR:
    return load_mdsr("random", 0)


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


def test_random_weights_follow_the_seed_and_leave_the_global_state_alone(network: MDSR) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    again, other = load_mdsr("random", 0), load_mdsr("random", 1)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    assert not torch.equal(network.head[0].weight, other.head[0].weight)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_saved_checkpoint_loads(suffix: str, network: MDSR, tmp_path: Path) -> None:
    path = tmp_path / f"mdsr{suffix}"
    (torch.save if suffix == ".pt" else save_file)(network.state_dict(), path)
    loaded = load_mdsr(str(path), 7)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), loaded.parameters(), strict=True))
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_missing_checkpoint_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="there is no such file; give a checkpoint, or random"):
        load_mdsr(str(tmp_path / "none.pt"), 0)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("no tensors here")
    with pytest.raises(BadRequest, match=r"not a checkpoint of the MDSR baseline .*; give the official"):
        load_mdsr(str(path), 0)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_checkpoint_of_another_network_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"other{suffix}"
    (torch.save if suffix == ".pt" else save_file)({"head.0.weight": torch.zeros(2)}, path)
    with pytest.raises(BadRequest, match="not a checkpoint of the MDSR baseline"):
        load_mdsr(str(path), 0)


def test_a_pickle_of_anything_but_tensors_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "pickle.pt"
    torch.save({"head.0.weight": Path("anything")}, path)
    with pytest.raises(BadRequest, match="not a checkpoint"):
        load_mdsr(str(path), 0)
