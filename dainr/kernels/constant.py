"""Short lists of numbers on a device, uploaded once: to wait for an upload takes as long as much of a step."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Float, Num
from torch import Tensor


@lru_cache(maxsize=512)
def constant(values: tuple[float | int, ...], dtype: torch.dtype, device: torch.device) -> Num[Tensor, " value"]:
    """The numbers as a tensor; kept, so not to change."""
    return torch.tensor(values, dtype=dtype, device=device)


def sums_of_parts(values: Float[Tensor, " point"], counts: Sequence[int]) -> Float[Tensor, " part"]:
    """The sums over so many values each, one part after another."""
    lengths = constant(tuple(counts), torch.int64, values.device)
    return torch.segment_reduce(values, "sum", lengths=lengths, unsafe=True)  # unsafe: the device is not waited for
