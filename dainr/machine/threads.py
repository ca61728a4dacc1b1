"""How many threads there may be, and how they wait for one another."""

import math
import os
import time
from pathlib import Path

from dainr.machine.cgroup import cpu_limit

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # what decides how threads wait
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")
LOAD = Path("/proc/loadavg")  # its fourth word: how many threads run or could, of how many
LOOKS, PAUSE_S = 5, 0.002
PASSIVE = "passive"  # a capital I is another letter in Turkish, and GNU's OpenMP would not know the word
SPINS = "5000"  # about a tenth of a millisecond, as long as most gaps between parallel loops


def usable_cores() -> int:
    """The processor cores this process may use: those it is bound to, or fewer where its group has less time."""
    limit = cpu_limit()
    return _bound_cores() if limit is None else max(1, min(_bound_cores(), math.ceil(limit)))


def _bound_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_threads() -> None:
    """Have OpenMP and numba start no more threads than the control group has processors for; what a user set wins."""
    cores = usable_cores()
    if cores < _bound_cores():
        for name in THREADS:
            os.environ.setdefault(name, str(cores))


def wait_for_threads() -> None:
    """Choose how OpenMP's threads wait, before a library is loaded that reads it; what a user set wins.

    A thread that sleeps leaves its processor to others, and is woken late, on a virtual machine above all: a fit on two
    cores takes a fifth longer. One that spins takes it from them: with another program beside it, a third longer. So
    threads sleep at once, or after a short while where there are processors for all of them.
    """
    passive = os.environ.setdefault("OMP_WAIT_POLICY", PASSIVE).lower() == PASSIVE
    cores = usable_cores()
    if passive and "GOMP_SPINCOUNT" not in os.environ and cores > 1 and _free_processors() >= cores:
        os.environ["GOMP_SPINCOUNT"] = SPINS


def _free_processors() -> int:
    """Processors that run nothing but this thread; 0 where the system does not say."""
    running = []
    for _ in range(LOOKS):
        try:
            running.append(int(LOAD.read_text().split()[3].partition("/")[0]))
        except (OSError, IndexError, ValueError):
            return 0
        time.sleep(PAUSE_S)
    return (os.cpu_count() or 1) - (min(running) - 1)
