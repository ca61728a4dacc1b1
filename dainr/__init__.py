"""dainr: one undersampled dynamic MRI scan in, a cine volume out, by fitting a neural field to that scan alone."""

import os
from typing import TYPE_CHECKING, Any

from dainr.machine.memory import keep_freed_memory
from dainr.machine.threads import limit_threads, wait_for_threads

# Before torch and numpy are first imported. Threads of OpenBLAS spin for long whatever they are told, so it gets one.
limit_threads()
wait_for_threads()
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
keep_freed_memory()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dainr.library import load, reconstruct

__all__ = ["load", "reconstruct"]


def __getattr__(name: str) -> Any:
    """`load` and `reconstruct`, imported when they are first named: the rest of the package must not wait for torch."""
    if name in __all__:
        from dainr import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
