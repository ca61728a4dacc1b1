"""Files of weights of unrolled networks: safetensors whose metadata say which network, of which sizes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dainr.errors import BadRequest
from dainr.io.hdf5 import write_whole

SCHEMA, VERSION = "dainr-network", "1"
OURS = ("schema", "version", "method", "sizes")  # of the metadata


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """What a file of weights holds."""

    method: str
    sizes: dict[str, Any]  # settings of the network
    tensors: dict[str, Tensor]
    facts: Mapping[str, str] = field(default_factory=dict)  # how they came about, in words


def save_network(path: Path, stored: StoredNetwork) -> None:
    """Write weights to a file, whole or not at all."""
    metadata = {"schema": SCHEMA, "version": VERSION, "method": stored.method, "sizes": json.dumps(stored.sizes)}
    with write_whole(path) as temporary:
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in stored.tensors.items()}
        save_file(tensors, temporary, {**stored.facts, **metadata})


def is_network(path: Path) -> bool:
    """Whether a file says that it holds weights of an unrolled network."""
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("schema") == SCHEMA
    except (SafetensorError, OSError):
        return False


def read_network(path: Path) -> StoredNetwork:
    """The weights in a file. Raises BadRequest when it is damaged, not finite, or holds something else."""
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        sizes = json.loads(metadata.get("sizes", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise BadRequest(str(path), f"it cannot be read ({error})", "make it again with dainr train") from error
    if metadata.get("schema") != SCHEMA or metadata.get("version") != VERSION or not isinstance(sizes, dict):
        raise BadRequest(str(path), "it holds no weights of dainr train", "give such a file")
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise BadRequest(str(path), "it holds numbers that are not finite", "make it again with dainr train")
    facts = {name: value for name, value in metadata.items() if name not in OURS}
    return StoredNetwork(metadata.get("method", ""), sizes, tensors, facts)
