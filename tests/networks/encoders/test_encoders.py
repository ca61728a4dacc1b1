"""Every encoder: its sizes, its features at their own resolution, frozen, and at home in weights and restorer."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dainr.errors import BadRequest
from dainr.networks.encoders import ENCODERS, SwinIR, swinir
from dainr.networks.restorer import Restorer, restore_triples
from dainr.networks.weights import FOLDER_VARIABLE, import_weights, load_encoder, restoring
from dainr.pretrained.train import first_network, shipped_tensors

PARAMETERS = {"mdsr": 3_227_227, "edsr": 1_222_147, "rdn": 1_295_299, "swinir": 658_683}


@pytest.mark.parametrize("name", ENCODERS)
def test_it_has_this_many_parameters_and_fits_in_8_mb(name: str) -> None:
    network = ENCODERS[name]()
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name]
    assert sum(t.numel() * t.element_size() for t in shipped_tensors(network).values()) < 8e6


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("matrix", [(16, 24), (13, 7), (3, 5)])
def test_features_are_at_the_resolution_of_the_image(name: str, matrix: tuple[int, int]) -> None:
    network = load_encoder(name, "random", 0)
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    triples = torch.rand(2, 3, *matrix, generator=torch.Generator().manual_seed(0))
    features = network.trunk(triples)
    assert features.shape[0] == 2 and features.shape[2:] == matrix
    assert network.tail(features).shape == triples.shape
    torch.testing.assert_close(network.trunk(triples[:1]), features[:1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_training_begins_with_a_network_that_returns_its_input(name: str) -> None:
    triples = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        returned = restore_triples(first_network(name), triples, 3)
    assert (returned - triples).abs().mean() < 0.1


@pytest.mark.parametrize("name", ENCODERS)
def test_its_weights_are_installed_by_its_name_and_restore_frames(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "weights"))
    path = tmp_path / f"my_{name}.safetensors"
    save_file(shipped_tensors(first_network(name)), path, restoring(name))
    import_weights(path)
    network = load_encoder(name, f"my_{name}", 0)
    assert type(network) is ENCODERS[name]
    series = torch.rand(4, 24, 24, generator=torch.Generator().manual_seed(0)).to(torch.complex64)
    restored, moves = Restorer(network, cyclic=True, stage="iterated")(series)
    assert restored.shape == series.shape and moves.max() > 0
    other = "edsr" if name == "rdn" else "rdn"
    with pytest.raises(BadRequest, match=f"they are of {name}, not of {other}; add --set encoder={name}"):
        load_encoder(other, f"my_{name}", 0)


def test_weights_that_do_not_ship_are_made_by_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(BadRequest, match=r"rdn_cine are not installed; run python -m \S+ --network rdn"):
        load_encoder("rdn", "auto", 0)


def test_windows_see_all_of_their_pixels_and_no_others() -> None:
    torch.manual_seed(0)
    layer, still = swinir._Layer(0), torch.rand(1, 16, 16, swinir.N_FEATURES)
    changed = still.clone()
    changed[0, 3, 12].neg_()  # in the window of rows 0 to 7 and columns 8 to 15
    moved = (layer(changed) - layer(still)).abs().sum(-1)[0] > 1e-6
    assert moved[:8, 8:].all() and moved.sum() == 64


def test_shifted_windows_do_not_join_opposite_edges() -> None:
    torch.manual_seed(0)
    layer, still = swinir._Layer(4), torch.rand(1, 16, 16, swinir.N_FEATURES)
    changed = still.clone()
    changed[0, 0, 0].neg_()  # the corner: its shifted window holds 4 by 4 pixels of it alone
    moved = (layer(changed) - layer(still)).abs().sum(-1)[0] > 1e-6
    assert moved[:4, :4].all() and moved.sum() == 16


def test_every_layer_of_swinir_takes_part() -> None:
    torch.manual_seed(0)
    network = SwinIR()
    network.tail(network.trunk(torch.rand(1, 3, 16, 16))).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
