"""Weights: drawn, read from a checkpoint, installed under a name, and noticed when damaged."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dainr.errors import BadRequest
from dainr.networks.encoders.mdsr import MDSR
from dainr.networks.unrolled.stored import StoredNetwork, load_network, save_network
from dainr.networks.weights import (
    FOLDER_VARIABLE,
    MANIFEST,
    RESTORES_FRAMES,
    Weights,
    import_weights,
    installed_weights,
    load_encoder,
    shipped_folder,
)
from dainr.pretrained.train import write_manifest


@pytest.fixture(scope="module")
def network() -> MDSR:
    return load_encoder("mdsr", "random", 0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of weights of the test's own."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def official(network: MDSR, tmp_path: Path) -> Path:
    """A checkpoint named as torch.hub names them: with the first digits of its SHA-256."""
    path = tmp_path / "new.pt"
    torch.save(network.state_dict(), path)
    return path.rename(tmp_path / f"mdsr_baseline-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pt")


def imported() -> dict[str, Weights]:
    """What is installed beside what is shipped."""
    return {name: weights for name, weights in installed_weights().items() if not weights.shipped}


def equal(one: MDSR, other: MDSR) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_random_weights_follow_the_seed_and_leave_the_global_state_alone(network: MDSR) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    again, other = load_encoder("mdsr", "random", 0), load_encoder("mdsr", "random", 1)
    assert torch.equal(torch.rand(1), expected)
    assert equal(network, again)
    assert not torch.equal(network.head[0].weight, other.head[0].weight)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_saved_checkpoint_loads(suffix: str, network: MDSR, tmp_path: Path) -> None:
    path = tmp_path / f"mdsr{suffix}"
    (torch.save if suffix == ".pt" else save_file)(network.state_dict(), path)
    loaded = load_encoder("mdsr", str(path), 7)
    assert equal(network, loaded)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_missing_checkpoint_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="there is no such file, and no such name in dainr weights; give"):
        load_encoder("mdsr", str(tmp_path / "none.pt"), 0)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"text{suffix}"
    path.write_text("no tensors here")
    with pytest.raises(BadRequest, match=r"not a checkpoint of the MDSR baseline .*; give the official"):
        load_encoder("mdsr", str(path), 0)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_checkpoint_of_another_network_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"other{suffix}"
    (torch.save if suffix == ".pt" else save_file)({"head.0.weight": torch.zeros(2)}, path)
    with pytest.raises(BadRequest, match="not a checkpoint of the MDSR baseline"):
        load_encoder("mdsr", str(path), 0)


def test_a_pickle_of_anything_but_tensors_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "pickle.pt"
    torch.save({"head.0.weight": Path("anything")}, path)
    with pytest.raises(BadRequest, match="not a checkpoint"):
        load_encoder("mdsr", str(path), 0)


def test_an_imported_checkpoint_is_found_by_its_name(official: Path, network: MDSR) -> None:
    assert imported() == {}
    added = import_weights(official, "CC0")
    assert (added.name, added.source, added.licence) == ("mdsr_baseline", official.name, "CC0")
    assert added.source_sha256 == hashlib.sha256(official.read_bytes()).hexdigest()
    assert imported() == {"mdsr_baseline": added}
    official.unlink()
    assert equal(network, load_encoder("mdsr", "mdsr_baseline", 7))


def test_loading_leaves_the_global_random_state_alone(official: Path) -> None:
    import_weights(official)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    load_encoder("mdsr", "mdsr_baseline", 0)
    assert torch.equal(torch.rand(1), expected)


def test_several_weights_stand_side_by_side(official: Path, folder: Path) -> None:
    other = Path(shutil.copy(official, official.with_name("mine.pt")))
    import_weights(official)
    import_weights(other)
    assert list(imported()) == ["mdsr_baseline", "mine"]
    assert sorted(p.name for p in folder.iterdir()) == [MANIFEST, "mdsr_baseline.safetensors", "mine.safetensors"]


def test_a_checkpoint_that_is_not_what_its_name_promises_is_refused(official: Path, folder: Path) -> None:
    wrong = official.rename(official.with_name("mdsr_baseline-0123abcd.pt"))
    with pytest.raises(BadRequest, match=r"its SHA-256 begins with .*, its name promises 0123abcd; download it again"):
        import_weights(wrong)
    assert not folder.exists()


def test_a_file_that_was_not_imported_is_not_replaced(official: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "mdsr_baseline.safetensors").write_bytes(b"mine")
    with pytest.raises(BadRequest, match="it was not imported"):
        import_weights(official)
    assert (folder / "mdsr_baseline.safetensors").read_bytes() == b"mine" and not imported()
    import_weights(official, replace=True)
    (folder / MANIFEST).unlink()  # as an import leaves it that is killed just before
    import_weights(official)
    assert list(imported()) == ["mdsr_baseline"]


def test_another_network_is_not_installed(folder: Path, tmp_path: Path) -> None:
    save_file({"head.0.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(BadRequest, match="not a checkpoint of the MDSR baseline"):
        import_weights(tmp_path / "other.safetensors")
    assert not folder.exists()


@pytest.mark.parametrize("name", ["mine.pt", "random.pt"])
def test_a_name_is_given_once(name: str, official: Path, network: MDSR) -> None:
    taken = official.rename(official.with_name(name))
    if name == "mine.pt":
        import_weights(taken)
    why = (
        "that name belongs to dainr"
        if name == "random.pt"
        else "there are weights of that name; rename the file or add"
    )
    with pytest.raises(BadRequest, match=why):
        import_weights(taken)


def test_weights_are_replaced_when_asked(official: Path, network: MDSR) -> None:
    import_weights(official)
    other = official.with_name("mdsr_baseline.pt")
    torch.save(load_encoder("mdsr", "random", 3).state_dict(), other)
    import_weights(other, replace=True)
    assert equal(load_encoder("mdsr", "mdsr_baseline", 0), load_encoder("mdsr", "random", 3))
    assert len(imported()) == 1


@pytest.mark.parametrize("damage", ["a byte", "gone"])
def test_damaged_weights_are_noticed_with_the_command_that_repairs_them(damage: str, official: Path) -> None:
    added = import_weights(official)
    assert added.whole()
    if damage == "gone":
        added.path.unlink()
    else:
        content = bytearray(added.path.read_bytes())
        content[-1] ^= 1
        added.path.write_bytes(content)
    assert not added.whole()
    with pytest.raises(BadRequest, match=rf"run: dainr weights import {official.name} --force"):
        load_encoder("mdsr", "mdsr_baseline", 0)
    import_weights(official, replace=True)
    load_encoder("mdsr", "mdsr_baseline", 0)


def test_weights_are_shipped_whole() -> None:
    shipped = {name: weights for name, weights in installed_weights().items() if weights.shipped}
    assert "mdsr_cine" in shipped
    for weights in shipped.values():
        assert weights.whole() and weights.licence == "MIT"
        assert weights.path.stat().st_size < 8e6
        assert not weights.method or load_network(weights.name, weights.method).tensors
    assert load_encoder("mdsr", "mdsr_cine", 0).restores_frames
    assert not load_encoder("mdsr", "mdsr_cine", 0).head[0].weight.isnan().any()


def test_damaged_shipped_weights_are_noticed_with_the_command_that_repairs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for path in (installed_weights()["mdsr_cine"].path, shipped_folder() / MANIFEST):
        shutil.copy(path, package)
    monkeypatch.setattr("dainr.networks.weights.shipped_folder", lambda: package)
    load_encoder("mdsr", "mdsr_cine", 0)
    with (package / "mdsr_cine.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff")
    with pytest.raises(BadRequest, match="run: git checkout pretrained && pip install --force-reinstall --no-deps"):
        load_encoder("mdsr", "mdsr_cine", 0)


def test_the_names_of_shipped_weights_are_not_given_to_others(official: Path) -> None:
    with pytest.raises(BadRequest, match="that name belongs to dainr; rename the file"):
        import_weights(official.rename(official.with_name("mdsr_cine.pt")), replace=True)


def test_weights_that_restore_frames_still_do_once_imported(network: MDSR, tmp_path: Path) -> None:
    save_file(network.state_dict(), tmp_path / "mine.safetensors", RESTORES_FRAMES)
    import_weights(tmp_path / "mine.safetensors")
    assert load_encoder("mdsr", "mine", 0).restores_frames
    save_file(network.state_dict(), tmp_path / "other.safetensors")
    import_weights(tmp_path / "other.safetensors")
    assert not load_encoder("mdsr", "other", 0).restores_frames


@pytest.mark.parametrize("text", ["no toml", "[a]\nlicence = 'x'", "a = 1"])
def test_a_manifest_that_is_none_is_said_to_be_none(text: str, folder: Path) -> None:
    folder.mkdir()
    (folder / MANIFEST).write_text(text)
    with pytest.raises(BadRequest, match="it is no manifest"):
        installed_weights()


def test_a_user_without_a_home_has_those_that_are_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def no_home(*_: object) -> Path:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv(FOLDER_VARIABLE)
    monkeypatch.setattr("platformdirs.user_data_path", no_home)
    assert all(weights.shipped for weights in installed_weights().values())
    load_encoder("mdsr", "mdsr_cine", 0)
    (tmp_path / "new.pt").write_bytes(b"")
    with pytest.raises(BadRequest, match=f"no home to keep them in; set {FOLDER_VARIABLE}"):
        import_weights(tmp_path / "new.pt")


def test_weights_of_a_network_are_installed_as_they_are_under_their_method(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cine.safetensors"
    save_network(path, StoredNetwork("crnn", {"channels": 2}, {"a": torch.ones(3)}, {"loss": "ssdu"}))
    added = import_weights(path, "CC0")
    assert (added.method, added.sha256, added.name) == ("crnn", added.source_sha256, "cine")
    assert added.path.read_bytes() == path.read_bytes() and imported()["cine"] == added
    assert load_network("cine", "crnn").facts == {"loss": "ssdu"}
    added.path.write_bytes(b"other")
    with pytest.raises(BadRequest, match="not the file that was installed"):
        load_network("cine", "crnn")


def test_damaged_weights_of_a_network_are_not_installed(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cine.safetensors"
    save_network(path, StoredNetwork("crnn", {}, {"a": torch.full((3,), torch.nan)}))
    with pytest.raises(BadRequest, match="not finite"):
        import_weights(path)
    assert imported() == {} and not folder.exists()


def test_weights_of_a_network_can_be_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    for path in (installed_weights()["mdsr_cine"].path, shipped_folder() / MANIFEST):
        shutil.copy(path, package)
    save_network(package / "cine.safetensors", StoredNetwork("crunet", {}, {"a": torch.ones(3)}))
    write_manifest(package / "cine.safetensors", "dainr train scans -o cine.safetensors")
    monkeypatch.setattr("dainr.networks.weights.shipped_folder", lambda: package)
    methods = {name: weights.method for name, weights in installed_weights().items()}
    assert methods["mdsr_cine"] == "" and methods["cine"] == "crunet"
    assert load_network("cine", "crunet").tensors["a"].sum() == 3
    assert load_encoder("mdsr", "mdsr_cine", 0).restores_frames
    with pytest.raises(BadRequest, match="they are of method crunet"):
        load_network("cine", "crnn")
