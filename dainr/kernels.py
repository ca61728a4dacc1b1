"""What the compiled passes on the CPU have in common: how numba compiles them, and their number of threads."""

from typing import Any

import numba
import torch
from numba import njit

# Not all of fastmath: NaN must stay NaN, to be seen as divergence, and sums keep their order: reassociated, the code
# that numba kept on disk rounded otherwise than the same code just compiled, and the first fit differed from the next.
FAST = {"contract", "arcp", "nsz"}
kernel: Any = njit(parallel=True, fastmath=FAST, cache=True)
inner: Any = njit(inline="always", fastmath=FAST)


def share_threads() -> None:
    """Give numba torch's number of threads; its call also sets torch's where both found one OpenMP: that is undone."""
    wanted = torch.get_num_threads()
    numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)
