"""Where a pass over arrays runs: compiled, where a device has such a pass, or in plain torch, which runs everywhere.

And what the compiled passes on the CPU have in common: how numba compiles them, their threads, tensors as arrays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numba
import numpy as np
import torch
from numba import njit
from torch import Tensor

from dainr.kernels.cache import is_kept

# Not all of fastmath: NaN must stay NaN, to be seen as divergence, and sums keep their order: reassociated, the code
# that numba kept on disk rounded otherwise than the same code just compiled, and the first fit differed from the next.
FAST = {"contract", "arcp", "nsz"}
# To tell whether code on disk is current numba looks at a kernel's own file alone: whoever changes what another file
# inlines into it has to touch that, too.
kernel: Any = njit(parallel=True, fastmath=FAST, cache=is_kept())
inner: Any = njit(inline="always", fastmath=FAST)

Pass = TypeVar("Pass")
_plain_torch: ContextVar[bool] = ContextVar("plain torch", default=False)


def chosen(device: torch.device, plain: Pass, **compiled: Pass | None) -> Pass:
    """The pass for a device: the compiled one of its kind (`cpu=...`, `cuda=...`), or else the one in plain torch."""
    found = None if _plain_torch.get() else compiled.get(device.type)
    return plain if found is None else found


@contextmanager
def plain_torch() -> Iterator[None]:
    """Within it no compiled pass is chosen: what a device without one of its own computes, on any device."""
    before = _plain_torch.set(True)
    try:
        yield
    finally:
        _plain_torch.reset(before)


def share_threads() -> None:
    """Give numba torch's number of threads; its call also sets torch's where both found one OpenMP: that is undone."""
    wanted = torch.get_num_threads()
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


def as_array(z: Tensor) -> np.ndarray:
    """A tensor as it is in memory; of a contiguous one what is written to the array is in the tensor."""
    return z.detach().resolve_conj().contiguous().numpy()


def as_lanes(z: Tensor) -> np.ndarray:
    """The same of complex numbers, real and imaginary parts in turn along the last axis."""
    return torch.view_as_real(z.detach().resolve_conj().contiguous()).flatten(-2).numpy()
