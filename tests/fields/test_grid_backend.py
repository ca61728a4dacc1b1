"""Choosing the grid's backend, and tables that move between torch and tiny-cuda-nn (a stand-in of it)."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dainr.errors import MissingBackend
from dainr.fields.grid import choose_grid, make_grid
from dainr.fields.hash_grid import GridConfig, HashGrid
from tests.fields.test_hash_grid import tcnn_levels

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CONFIG = GridConfig(levels=3, base=8, finest=50, log2_table=10, indexing="hash")


class Encoding(nn.Module):
    """tiny-cuda-nn's encoding as far as its parameters go: flat, one level after another."""

    def __init__(self, n_input_dims: int, encoding_config: dict[str, Any], dtype: torch.dtype) -> None:
        super().__init__()
        settings = encoding_config
        assert (n_input_dims, settings["otype"], settings["interpolation"]) == (2, "Grid", "Linear")
        finest = settings["base_resolution"] * settings["per_level_scale"] ** (settings["n_levels"] - 1)
        config = GridConfig(
            levels=settings["n_levels"],
            base=settings["base_resolution"],
            finest=round(finest),
            log2_table=settings["log2_hashmap_size"],
            indexing=settings["type"].lower(),
        )
        _, offset, size = tcnn_levels(config)[-1]
        self.params = nn.Parameter(torch.zeros((offset + size) * settings["n_features_per_level"], dtype=dtype))
        self.n_output_dims = settings["n_levels"] * settings["n_features_per_level"]

    def forward(self, positions: Tensor) -> Tensor:
        assert positions.min() >= 0
        assert positions.max() <= 1
        return positions.sum(1, keepdim=True) + self.params[: self.n_output_dims]


@pytest.fixture
def tinycudann(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("tinycudann")
    module.__spec__ = ModuleSpec("tinycudann", None)
    module.Encoding = Encoding  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tinycudann", module)
    monkeypatch.delitem(sys.modules, "dainr.fields.tinycudann", raising=False)


@pytest.fixture
def without_tinycudann(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)


@pytest.mark.usefixtures("tinycudann")
def test_auto_takes_tiny_cuda_nn_only_on_cuda_and_only_for_its_indexings() -> None:
    tiled = GridConfig(indexing="tiled")
    assert choose_grid("auto", CONFIG, CUDA) == "tinycudann"
    assert choose_grid("auto", CONFIG, CPU) == "native"
    assert choose_grid("auto", tiled, CUDA) == "native"


@pytest.mark.usefixtures("without_tinycudann")
def test_auto_is_native_where_tiny_cuda_nn_is_missing() -> None:
    assert choose_grid("auto", CONFIG, CUDA) == "native"
    assert choose_grid("native", CONFIG, CUDA) == "native"


@pytest.mark.usefixtures("without_tinycudann")
def test_tiny_cuda_nn_by_name_says_how_to_install_it() -> None:
    with pytest.raises(MissingBackend, match="not installed; run make install-tcnn, or use grid=native"):
        choose_grid("tinycudann", CONFIG, CUDA)


@pytest.mark.usefixtures("tinycudann")
def test_tiny_cuda_nn_by_name_is_refused_on_the_cpu_and_for_tiled() -> None:
    with pytest.raises(MissingBackend, match="CUDA only; use grid=native"):
        choose_grid("tinycudann", CONFIG, CPU)
    with pytest.raises(MissingBackend, match="no tiled indexing"):
        choose_grid("tinycudann", GridConfig(indexing="tiled"), CUDA)
    assert choose_grid("tinycudann", CONFIG, CUDA) == "tinycudann"


@pytest.mark.usefixtures("tinycudann")
@pytest.mark.parametrize("indexing", ["hash", "dense"])
def test_saved_states_of_both_backends_have_the_same_names_and_shapes(indexing: str) -> None:
    config = GridConfig(levels=3, base=8, finest=50, log2_table=10, indexing=indexing)
    shapes = [
        {k: v.shape for k, v in nn.ModuleDict({"grid": make_grid(backend, config)}).state_dict().items()}
        for backend in ("native", "tinycudann")
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.usefixtures("tinycudann")
def test_a_native_table_loads_into_tiny_cuda_nn_entry_by_entry() -> None:
    native = nn.ModuleDict({"grid": HashGrid(CONFIG)})
    theirs = nn.ModuleDict({"grid": make_grid("tinycudann", CONFIG)})
    theirs.load_state_dict(native.state_dict())
    assert torch.equal(theirs["grid"].table.detach(), native["grid"].table.detach().flatten())


@pytest.mark.usefixtures("tinycudann")
def test_a_table_of_tiny_cuda_nn_loads_into_the_native_grid() -> None:
    native = nn.ModuleDict({"grid": HashGrid(CONFIG)})
    theirs = nn.ModuleDict({"grid": make_grid("tinycudann", CONFIG)})
    native.load_state_dict(theirs.state_dict())
    assert torch.equal(theirs["grid"].table.detach(), native["grid"].table.detach().flatten())


@pytest.mark.usefixtures("tinycudann")
def test_tiny_cuda_nn_starts_as_small_as_native_and_sees_positions_inside_the_unit_square() -> None:
    grid = make_grid("tinycudann", CONFIG)
    assert 0 < float(grid.table.detach().abs().max()) <= 1e-4
    features = grid(torch.tensor([[-1.0, 0.5], [2.0, 0.5]]))
    assert features.shape == (2, grid.n_features)


def test_native_is_the_torch_grid() -> None:
    assert isinstance(make_grid("native", CONFIG), HashGrid)
