"""dainr: one undersampled dynamic MRI scan in, a cine volume out, by fitting a neural field to that scan alone."""

import os
from typing import TYPE_CHECKING, Any

from dainr.allocator import keep_freed_memory

# Spinning threads make two-core machines crawl: those of OpenMP wait, and OpenBLAS, whose threads cannot, gets one. A
# value the user set wins. Must precede the first import of torch and numpy.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
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
