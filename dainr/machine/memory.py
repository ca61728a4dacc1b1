"""Freed memory: kept within a slice, whose steps ask for the same megabytes again and again, and given back after."""

import ctypes
import os
import sys

# glibc's parameters (malloc.h), the environment variables by which a user sets them, and the largest values it takes
ARENAS = (-8, "MALLOC_ARENA_MAX")
PARAMETERS = ((-3, "MALLOC_MMAP_THRESHOLD_", 2**25), (-1, "MALLOC_TRIM_THRESHOLD_", 2**31 - 1))


def keep_freed_memory() -> bool:
    """Tell glibc not to hand freed arrays back to the system, where every page of the next one is a fault.

    Says whether it did: other C libraries are left alone, and so are the values a user set.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    free = [(number, value) for number, name, value in PARAMETERS if name not in os.environ]
    return mallopt is not None and bool(free) and all(mallopt(number, value) == 1 for number, value in free)


def share_freed_memory() -> bool:
    """Tell glibc to keep the freed memory of all threads in one place, for a program of many short ones.

    Each thread else has a place of its own, and what one has freed no other uses. Says whether it did.
    """
    if sys.platform != "linux" or ARENAS[1] in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(ARENAS[0], 1) == 1


def give_freed_memory_back() -> None:
    """Have glibc hand all freed pages back to the system, those between memory in use too."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
