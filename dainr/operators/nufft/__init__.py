"""NUFFT backends: one module each, same operator; `auto` takes the fastest measured on the device.

Adding a backend is one module with a `FourierOperator` and one entry in `BACKENDS`.
"""

import importlib
import importlib.util
import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from dainr.errors import BadRequest, MissingBackend
from dainr.machine.kept import kept
from dainr.operators.fourier import FourierOperator

# name -> module, class, package it needs, devices it runs on; in order of preference when the clock cannot tell
BACKENDS = {
    "compiled": ("dainr.operators.nufft.compiled", "CompiledNufftOperator", "numba", ("cpu",)),
    "finufft": ("dainr.operators.nufft.finufft", "FinufftOperator", "finufft", ("cpu",)),
    "sparse": ("dainr.operators.nufft.sparse", "SparseNufftOperator", "torch", ("cpu", "cuda")),
    "cufinufft": ("dainr.operators.nufft.cufinufft", "CufinufftOperator", "cufinufft", ("cuda",)),
    "torchkbnufft": ("dainr.operators.nufft.torchkbnufft", "TorchKbNufftOperator", "torchkbnufft", ("cpu", "cuda")),
}
# By the clock on a processor, where it depends on its vector units. On a graphics card the one that takes all frames in
# a handful of launches, which the others do not.
RACED = {"cpu": ("compiled", "finufft", "sparse"), "cuda": ("sparse",)}
ROUNDS = 8  # in turn, for a machine may be slow for as long as one of them takes
BEATEN = 2.0  # times the fastest's time: a backend so slow is timed no more
TIE = 1.25  # a later backend must be this much faster, so that the choice does not depend on the clock's noise


def available_backends(device: torch.device) -> list[str]:
    """Names of the backends that run on the device, and whose packages are installed and load."""
    return [name for name, (*_, devices) in BACKENDS.items() if device.type in devices and why_missing(name) is None]


def why_missing(name: str) -> str | None:
    """Why a backend cannot run on this machine, or None.

    FINUFFT and that of CUDA are imported to know: they may be installed without the libraries they were built for.
    """
    module, _, package, _ = BACKENDS[name]
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    if "finufft" in package:
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            return f"{package} does not load here ({str(error).strip() or type(error).__name__})"
    return None


@kept()
def make_nufft(
    name: str,
    points: Sequence[Float[np.ndarray, "_ 2"]],
    matrix: tuple[int, int],
    n_coils: int,
    device: torch.device,
) -> FourierOperator:
    """The NUFFT of that name. Raises BadRequest for an unknown name, MissingBackend for one that cannot run here.

    `finufft` on a CUDA device means its CUDA edition, cufinufft.
    """
    if name == "finufft" and device.type == "cuda":
        name = "cufinufft"
    if name not in BACKENDS:
        raise BadRequest(f"nufft={name}", "there is no such backend", f"choose auto or one of {', '.join(BACKENDS)}")
    module, operator, package, devices = BACKENDS[name]
    if device.type not in devices:
        raise MissingBackend(f"nufft={name}", f"it does not run on {device.type}", "use nufft=auto")
    why = why_missing(name)
    if why is not None:
        fix = f"run: pip install {package}, or use auto" if why.endswith("not installed") else "use nufft=auto"
        raise MissingBackend(f"nufft={name}", why, fix)
    return getattr(importlib.import_module(module), operator)(points, matrix, n_coils, device)


@kept(depends_on=lambda points, *others: (len(points), *others))  # where they lie takes no time
def choose_backend(
    points: Float[np.ndarray, "point 2"], matrix: tuple[int, int], n_coils: int, device: torch.device
) -> tuple[str, dict[str, float]]:
    """The fastest backend on this device, and the seconds each took for one frame, forward and adjoint.

    Where there is nothing to choose from, nothing is timed.
    """
    raced = [name for name in RACED[device.type] if why_missing(name) is None]
    if len(raced) == 1:
        return raced[0], {}
    maps = torch.ones(n_coils, *matrix, dtype=torch.complex64, device=device)
    operators = {name: make_nufft(name, [points], matrix, n_coils, device) for name in raced}
    timings = dict.fromkeys(raced, math.inf)
    for number in range(ROUNDS):
        for name in raced:
            timings[name] = min(timings[name], _time_once(operators[name], maps))
        if number:  # the first call of each may compile or allocate
            raced = [name for name in raced if timings[name] <= BEATEN * min(timings.values())]
        if len(raced) == 1:
            break
    best = next(iter(timings))
    for name, seconds in timings.items():
        if seconds * TIE < timings[best]:
            best = name
    return best, timings


def _time_once(operator: FourierOperator, maps: torch.Tensor) -> float:
    start = time.perf_counter()
    operator.measure_adjoint(operator.measure(maps[:1], maps), maps)
    return time.perf_counter() - start
