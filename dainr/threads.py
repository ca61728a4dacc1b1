"""Threads: how many there are, and those of the compiled loops, as many as torch has."""

import os


def share_threads() -> None:
    """Give numba torch's number of threads; its call also sets torch's where both found one OpenMP: that is undone."""
    import numba  # here, for a batch counts cores without either
    import torch

    wanted = torch.get_num_threads()
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


def usable_cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
