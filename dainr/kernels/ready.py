"""Imported, it has numba load what the first kernel of a process waits for; processes that are forked then share it.

No thread is started, and no kernel of ours compiled.
"""

from numba import njit


def _nothing() -> None:
    """What is compiled for it."""


njit(_nothing)()
