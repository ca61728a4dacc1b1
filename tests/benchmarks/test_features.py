from pathlib import Path

import pytest
from safetensors.torch import save_file

from benchmarks.features import candidates
from dainr.networks.encoders import RDN
from dainr.networks.weights import FOLDER_VARIABLE, encoders_installed, import_weights, restoring


def test_a_preset_is_tried_without_features_and_with_every_weights_there_are() -> None:
    found = candidates("default")
    assert [c.name for c in found[:3]] == [
        "`default`, no features",
        "`default`, mdsr, weights `random`",
        "`default`, mdsr, weights `mdsr_cine`",
    ]
    assert "encoder=none" in found[0].options
    assert all("encoder=mdsr" in c.options for c in found[1:])


def test_of_installed_weights_those_of_encoders_are_tried_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "weights"))
    save_file(RDN().state_dict(), tmp_path / "rdn_cine.safetensors", restoring("rdn"))
    import_weights(tmp_path / "rdn_cine.safetensors")
    assert encoders_installed() == {"mdsr_cine": "mdsr", "rdn_cine": "rdn"}
    assert {"encoder=rdn", "encoder_weights=rdn_cine"} <= set(candidates("hash")[-1].options)
