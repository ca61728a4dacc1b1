"""How many threads there may be, and how they wait for one another."""

import os
import time
from pathlib import Path

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # what decides how threads wait
LOAD = Path("/proc/loadavg")  # its fourth word: how many threads run or could, of how many
LOOKS, PAUSE_S = 5, 0.002
SPINS = "5000"  # about a tenth of a millisecond, as long as most gaps between parallel loops


def usable_cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def wait_for_threads() -> None:
    """Choose how OpenMP's threads wait, before a library is loaded that reads it; what a user set wins.

    A thread that sleeps leaves its processor to others, and is woken late, on a virtual machine above all: a fit on two
    cores takes a fifth longer. One that spins takes it from them: with another program beside it, a third longer. So
    threads sleep at once, or after a short while where there are processors for all of them.
    """
    passive = os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE").upper() == "PASSIVE"
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
