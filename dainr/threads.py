"""Threads of the compiled loops: as many as torch has."""

import numba
import torch


def share_threads() -> None:
    """Give numba torch's number of threads; its call also sets torch's where both found one OpenMP: that is undone."""
    wanted = torch.get_num_threads()
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)
