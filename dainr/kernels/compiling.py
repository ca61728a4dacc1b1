"""Where a pass over arrays runs: compiled, where a device has such a pass, or in plain torch, which runs everywhere.

And what the compiled passes on the CPU have in common: how numba compiles them, their threads, tensors as arrays.
"""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any, TypeVar, cast

import numba
import numpy as np
import torch
from numba import njit
from torch import Tensor

from dainr.kernels.cache import is_kept, keep_triton

# Not all of fastmath: NaN must stay NaN, to be seen as divergence, and sums keep their order: reassociated, the code
# that numba kept on disk rounded otherwise than the same code just compiled, and the first fit differed from the next.
FAST = {"contract", "arcp", "nsz"}
# To tell whether code on disk is current numba looks at a kernel's own file alone: whoever changes what another file
# inlines into it has to touch that, too.
kernel: Any = njit(parallel=True, fastmath=FAST, cache=is_kept())
inner: Any = njit(inline="always", fastmath=FAST)

log = logging.getLogger(__name__)
Pass = TypeVar("Pass")
OLDEST = (7, 0)  # compute capability of a GPU that Triton compiles for
_other: ContextVar[str | None] = ContextVar("passes of another kind of device", default=None)
SINGLE = (torch.float32, torch.complex64)


def chosen(device: torch.device, plain: Pass, **compiled: Pass | None) -> Pass:
    """The pass for a device: the compiled one of its kind (`cpu=...`, `cuda=...`), or else the one in plain torch."""
    kind = _other.get() or device.type
    found = compiled.get(kind)
    if found is None or (kind == device.type == "cuda" and not _triton_serves(device)):
        return plain
    return found


def on_cuda(name: str, plain: Pass) -> Pass:
    """A pass of Triton kernels for `chosen`, as "module.function" of this package: it is imported when it first runs.

    They compute in single precision; with anything else the plain pass runs.
    """
    module, function = name.split(".")

    def run(*arguments: Any, **options: Any) -> Any:
        first: Any = plain
        if arguments[0].dtype in SINGLE:
            first = getattr(import_module(f"{__package__}.{module}"), function)
        return first(*arguments, **options)

    return cast(Pass, run)


@cache
def _triton_serves(device: torch.device) -> bool:
    """Whether Triton's kernels run on a GPU; found out by one of them, when a pass for it is first chosen."""
    try:
        from dainr.kernels.compiling_cuda import try_out

        capability = torch.cuda.get_device_capability(device)
        if capability < OLDEST:
            raise RuntimeError(f"its compute capability is {capability[0]}.{capability[1]}, less than 7.0")
        keep_triton()
        try_out(device)
    except Exception as error:  # no Triton for this system, no C compiler, no headers, another driver
        log.warning("%s: no compiled passes, plain torch takes longer (%s: %s)", device, type(error).__name__, error)
        return False
    return True


@contextmanager
def passes_of(kind: str) -> Iterator[None]:
    """Within it the passes of another kind of device are chosen; those of CUDA run on a CPU in Triton's interpreter."""
    before = _other.set(kind)
    try:
        with torch.autograd.set_multithreading_enabled(False):  # a thread of its own would not know of the choice
            yield
    finally:
        _other.reset(before)


def plain_torch() -> AbstractContextManager[None]:
    """Within it no compiled pass is chosen: what a device without one of its own computes, on any device."""
    return passes_of("none")


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
