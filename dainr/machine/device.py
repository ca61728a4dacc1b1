"""The device a program computes on: its name, what it is, how much memory it has and how much was used."""

import gc
import logging
import os
import platform
import resource
import sys
from pathlib import Path

import torch

from dainr.errors import BadRequest, MissingBackend
from dainr.machine.cgroup import memory_limit
from dainr.machine.memory import give_freed_memory_back
from dainr.machine.probe import why_unusable

log = logging.getLogger(__name__)


def resolve_device(name: str) -> torch.device:
    """The device of that name; for `auto` a GPU that works, or else the CPU.

    Raises MissingBackend when CUDA is named and not here, or cannot be used, and BadRequest for other names.
    """
    if name == "auto":
        why = why_unusable("cuda") if torch.cuda.is_available() else "there is none"
        if why is not None and torch.cuda.is_available():
            log.warning("the GPU is left aside: %s", why)
        return torch.device("cuda" if why is None else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise BadRequest(f"--device {name}", "there is no such device", "choose auto, cpu, cuda or cuda:0")
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise MissingBackend(f"--device {name}", "torch sees no CUDA device", "use --device cpu")
        if (device.index or 0) >= count:
            raise MissingBackend(f"--device {name}", f"there are {count} CUDA devices", "choose a smaller number")
        if (why := why_unusable(str(device))) is not None:
            raise MissingBackend(f"--device {name}", f"this torch cannot use it ({why})", "use --device cpu")
    return device


def device_name(device: str) -> str:
    """The processor's name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(torch.device(device))
    cpuinfo = Path("/proc/cpuinfo")
    names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line] if cpuinfo.is_file() else []
    return names[0].split(":", 1)[1].strip() if names else platform.processor() or platform.machine()


def memory_bytes(device: torch.device) -> int:
    """Memory that a program may take: of a CUDA device what is free, or torch's and not in use; of a machine all, or
    what its control group may use.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(whole, memory_limit() or whole)


def give_memory_back() -> None:
    """Give everything that is free back to the system and to other programs on a CUDA device."""
    gc.collect()
    give_freed_memory_back()
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was given, so that a clock tells the time it took."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak_memory(device: str) -> None:
    """Count the peak of a CUDA device from now on; that of a process cannot be reset."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(torch.device(device))


def peak_memory_mb(device: str) -> float:
    """Largest resident memory of the process so far, or allocated on the CUDA device."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(torch.device(device)) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
