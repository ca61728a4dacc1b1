from pathlib import Path

import pytest
from safetensors.torch import save_file

from dainr.networks.weights import FOLDER_VARIABLE, load_encoder

from . import invoke, succeed


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_file(load_encoder("mdsr", "random", 0).state_dict(), tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_without_imports_there_are_random_and_shipped_weights(folder: Path) -> None:
    shown = succeed("weights")
    first, second, third = shown.stdout.splitlines()
    assert first == "random: drawn from the seed of the fit"
    assert second.startswith("mdsr_cine: from pretrained/train.py ") and "licence MIT" in second
    assert third.startswith("crunet_cine: method crunet; from dainr train ") and "licence MIT" in third
    assert shown.stderr == f"folder: {folder}\n"


def test_imported_weights_are_listed_with_their_licence_and_checksum(checkpoint: Path) -> None:
    said = succeed("weights", "import", checkpoint, "--licence", "CC0").stderr
    assert said.endswith("mine.safetensors: installed; use it by --set encoder=mdsr --set encoder_weights=mine\n")
    line = succeed("weights").stdout.splitlines()[-1]
    assert line.startswith("mine: from mine.safetensors; licence CC0; SHA-256 ")
    assert "DAMAGED" not in line


def test_damaged_weights_are_listed_as_damaged(checkpoint: Path, folder: Path) -> None:
    succeed("weights", "import", checkpoint)
    (folder / "mine.safetensors").write_bytes(b"")
    line = succeed("weights").stdout.splitlines()[-1]
    assert line.endswith("DAMAGED, run: dainr weights import mine.safetensors --force")


@pytest.mark.parametrize("arguments", [["import"], ["import", "missing.pt"], ["remove"]])
def test_wrong_requests_exit_2(arguments: list[str]) -> None:
    result = invoke("weights", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr
