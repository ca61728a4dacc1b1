"""Weights of unrolled networks as files: safetensors whose metadata say which network, of which sizes."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dainr.errors import BadRequest
from dainr.io.hdf5 import write_whole
from dainr.networks.weights import weights_path

SCHEMA, VERSION = "dainr-network", "1"


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """What a file of weights holds."""

    method: str
    sizes: dict[str, Any]  # settings of the network
    tensors: dict[str, Tensor]


def save_network(path: Path, stored: StoredNetwork) -> None:
    """Write weights to a file, whole or not at all."""
    metadata = {"schema": SCHEMA, "version": VERSION, "method": stored.method, "sizes": json.dumps(stored.sizes)}
    with write_whole(path) as temporary:
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in stored.tensors.items()}, temporary, metadata
        )


def load_network(weights: str, method: str) -> StoredNetwork:
    """Weights by a name that `dainr weights` lists, or a file's path.

    Raises BadRequest when there is no such file, when it is damaged or not finite, and when it holds another method's.
    """
    path = weights_path(weights)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sizes = json.loads(metadata.get("sizes", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise BadRequest(str(path), f"it cannot be read ({error})", "make it again with dainr train") from error
    if metadata.get("schema") != SCHEMA or metadata.get("version") != VERSION or not isinstance(sizes, dict):
        raise BadRequest(str(path), "it holds no weights of dainr train", "give such a file")
    if metadata.get("method") != method:
        raise BadRequest(
            f"weights {weights}", f"they are of method {metadata.get('method')}", f"give weights of {method}"
        )
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise BadRequest(str(path), "it holds numbers that are not finite", "make it again with dainr train")
    return StoredNetwork(method, sizes, tensors)
