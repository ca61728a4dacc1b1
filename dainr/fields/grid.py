"""Choosing the backend of the hash grid: torch always works, tiny-cuda-nn where it is installed and fits."""

import importlib.util

import torch
from torch import nn

from dainr.errors import MissingBackend
from dainr.fields.hash_grid import GridConfig, HashGrid

TCNN_INDEXING = ("hash", "dense")


def choose_grid(backend: str, config: GridConfig, device: torch.device) -> str:
    """The backend "auto" stands for on this device; a named one is checked.

    Raises MissingBackend when tinycudann is named and not installed, without CUDA, or for an indexing it lacks.
    """
    installed = importlib.util.find_spec("tinycudann") is not None
    fits = config.indexing in TCNN_INDEXING
    if backend == "auto":
        return "tinycudann" if installed and fits and device.type == "cuda" else "native"
    if backend == "tinycudann":
        what = "grid=tinycudann"
        if not installed:
            raise MissingBackend(what, "tinycudann is not installed", "run make install-tcnn, or use grid=native")
        if device.type != "cuda":
            raise MissingBackend(what, "it runs on CUDA only", "use grid=native")
        if not fits:
            raise MissingBackend(what, f"it has no {config.indexing} indexing over a table", "use grid=native")
    return backend


def make_grid(backend: str, config: GridConfig) -> nn.Module:
    """The grid encoding of a backend that was chosen."""
    if backend == "tinycudann":
        from dainr.fields.tinycudann import TinyCudaNNGrid

        return TinyCudaNNGrid(config)
    return HashGrid(config)
