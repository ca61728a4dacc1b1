"""Whether a CUDA device that torch sees can be computed on: a torch may see an old one and have no code for it."""

import warnings
from functools import lru_cache

import torch

from dainr.errors import is_out_of_memory


@lru_cache
def why_unusable(device: str) -> str | None:
    """What torch says when it is to add two numbers on a device; None where it can, or where only memory is short."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a device that is too old; the error says it
            torch.ones(2, device=device).sum().item()
    except RuntimeError as error:
        return None if is_out_of_memory(error) else str(error).strip().splitlines()[0].rstrip(".;")
    return None
