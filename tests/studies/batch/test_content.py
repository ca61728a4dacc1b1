"""Checksums of what options stand for."""

from pathlib import Path

from dainr.io import ReadOptions
from dainr.methods.dainr.config import DainrConfig
from dainr.methods.unrolled.networks import CRNNMethodConfig
from dainr.studies.batch.content import checksum


def test_a_preset_counts_by_content(tmp_path: Path) -> None:
    preset = tmp_path / "mine.toml"

    def of(text: str) -> str:
        preset.write_text(text)
        return checksum("dainr", str(preset), DainrConfig(), ReadOptions())

    first = of("virtual_coils = 4")
    assert of("virtual_coils = 5") != first
    assert of("# the same\nvirtual_coils = 4") == first


def test_weights_and_files_read_beside_a_scan_count_by_content(tmp_path: Path) -> None:
    for name, kinds in (("weights", (tmp_path / "w.pt", None)), ("maps", (None, tmp_path / "m.npy"))):
        weights, maps = kinds

        def of(content: bytes, weights: Path | None = weights, maps: Path | None = maps) -> str:
            (weights or maps or tmp_path).write_bytes(content)
            config = DainrConfig(encoder_weights=str(weights) if weights else "random")
            return checksum("dainr", "default", config, ReadOptions(coil_maps=maps))

        assert of(b"one") == of(b"one") != of(b"two"), name


def test_weights_of_a_network_count_by_content(tmp_path: Path) -> None:
    def of(content: bytes) -> str:
        (tmp_path / "w.safetensors").write_bytes(content)
        config = CRNNMethodConfig(weights=str(tmp_path / "w.safetensors"))
        return checksum("crnn", "default", config, ReadOptions())

    assert of(b"one") == of(b"one") != of(b"two")
