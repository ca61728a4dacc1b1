"""Which GPUs a batch has, and how many cases it fits on each at once: as many as their forecast memory lets."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from dainr.errors import DainrError
from dainr.io import ReadOptions, load
from dainr.machine.device import memory_bytes, resolve_device
from dainr.machine.threads import usable_cores
from dainr.methods.common import MethodConfig
from dainr.prepare.binning import Binning
from dainr.studies.batch.engine import Workers
from dainr.studies.batch.work import Job
from dainr.studies.forecast import gpu_bytes

MOST = 8  # cases at once on a GPU: further ones would only wait for its processors
SHARE = 0.9  # of the free memory
HOST_BYTES = 3 * 2**30  # that a case takes of the machine's own memory beside a GPU: torch with CUDA, the scan, figures
TRIES = 3  # scans that are read for a forecast, the largest file first
PATIENCE_S = 120.0  # with the process that tells
# Free memory of every device; -1 where torch cannot use it, 0 where it cannot tell. In a process of its own, for who
# looks takes memory of a device until it ends.
PROBE = """
import torch
from dainr.machine.probe import why_unusable
for index in range(torch.cuda.device_count()):
    try:
        print(-1 if why_unusable(f"cuda:{index}") else torch.cuda.mem_get_info(index)[0])
    except RuntimeError:
        print(0)
"""

Need = Callable[[Job], int]  # bytes on a GPU that a case is forecast to need


@dataclass(frozen=True)
class Gpu:
    """A CUDA device: torch's number of it, what CUDA_VISIBLE_DEVICES calls it, free memory in bytes (0: not known)."""

    number: int
    name: str
    free: int = 0


def visible_gpus() -> tuple[Gpu, ...]:
    """The CUDA devices that torch sees here, by the names that show a process one of them alone.

    Where CUDA_VISIBLE_DEVICES is set, these are its own, numbers or UUIDs, in its order.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    setting = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = map(str, range(count)) if setting is None else (name.strip() for name in setting.split(","))
    return tuple(Gpu(number, name) for number, name in zip(range(count), names, strict=False))


def with_free_memory(gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Those that torch can use, with the memory that is free on each now."""
    if not gpus:
        return ()
    try:
        command = [sys.executable, "-c", PROBE]
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout
    except (subprocess.SubprocessError, OSError):
        told = ""
    free = dict(enumerate(map(int, told.split())))
    return tuple(replace(gpu, free=free.get(gpu.number, 0)) for gpu in gpus if free.get(gpu.number, 0) >= 0)


def take_turns(count: int, device: str) -> Workers:
    """So many workers, which take the GPUs that a device's name stands for in turn. Raises as `resolve_device`."""
    return Workers(count, _names(device, _meant(device)))


def share_gpus(jobs: Sequence[Job], device: str, need: Need) -> tuple[Workers, str]:
    """As many workers as cases fit at once on the GPUs that a device's name stands for, and what to say about it.

    Without a GPU one, which takes all cores. Raises as `resolve_device`.
    """
    gpus = with_free_memory(_meant(device))
    if not gpus:
        return Workers(1), ""
    needed = largest_need(jobs, need)
    of_machine = min(usable_cores(), memory_bytes(torch.device("cpu")) // HOST_BYTES)
    counts = [cases_at_once(gpu, needed, of_machine // len(gpus)) for gpu in gpus]
    turns = [gpu for turn in range(max(counts)) for gpu, n in zip(gpus, counts, strict=True) if turn < n]
    return Workers(len(turns), _names(device, turns)), _sentence(gpus, counts, needed)


def _meant(device: str) -> tuple[Gpu, ...]:
    """The GPUs that a device's name stands for: one by its number, or all there are."""
    gpus = () if device == "cpu" else visible_gpus()
    chosen = tuple(gpu for gpu in gpus if device in ("auto", "cuda", f"cuda:{gpu.number}"))
    if not chosen:
        resolve_device(device)  # says what is wrong with it
    return chosen


def _names(device: str, gpus: Sequence[Gpu]) -> tuple[str, ...]:
    """What workers show their fits; a device by its number is the fits' own choice among all that they see."""
    return () if ":" in device else tuple(gpu.name for gpu in gpus)


def forecast_need(reading: ReadOptions, binning: Binning, config: MethodConfig) -> Need:
    """The forecast for cases that are read, binned and fitted like this."""
    return lambda job: gpu_bytes(binning.applied(load(job.case.path, reading)), config)


def cases_at_once(gpu: Gpu, needed: int, most: int) -> int:
    """How many cases of so many bytes run at once on a GPU, `most` by the rest of the machine; one where it is unknown.

    One at least in any case.
    """
    fitting = int(SHARE * gpu.free) // needed if needed else 1
    return max(1, min(fitting, MOST, most))


def largest_need(jobs: Sequence[Job], need: Need) -> int:
    """What the largest case needs that can be read; 0 where that is none of the first few."""
    for job in sorted(jobs, key=_size, reverse=True)[:TRIES]:
        try:
            return need(job)
        except DainrError:  # its own fit will tell
            continue
    return 0


def _size(job: Job) -> int:
    try:
        return job.case.path.stat().st_size
    except OSError:
        return 0


def _sentence(gpus: Sequence[Gpu], counts: Sequence[int], needed: int) -> str:
    at_once = " and ".join(str(n) for n in dict.fromkeys(counts))
    cases = f"{at_once} case{'s' if max(counts) > 1 else ''} at once on {'the GPU' if len(gpus) == 1 else 'each GPU'}"
    if not needed or not any(gpu.free for gpu in gpus):
        return f"{cases}: how much memory they need or have is not known"
    free = " and ".join(dict.fromkeys(f"{gpu.free / 2**30:.1f}" for gpu in gpus))
    return f"{cases}: each needs about {needed / 2**30:.1f} GB, and {free} GB are free"
