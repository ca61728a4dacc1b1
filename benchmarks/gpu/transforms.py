"""The NUFFT backends beside one another: all frames and coils of a scan, forward and back."""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns
from benchmarks.gpu.steps import begin, clock, forget_memory, memory, synchronise
from dainr.operators.nufft import available_backends

ROUNDS = 10
ERROR = 1e-2  # relative: torchkbnufft's tolerance and a margin
COLUMNS = {
    "built_s": "built s",
    "forward_ms": "forward ms",
    "adjoint_ms": "adjoint ms",
    "error": "error forward",
    "adjoint_error": "error adjoint",
    "torch_mb": "torch MB",
    "device_mb": "device MB",
}


def cases(scope: Scope) -> list[str]:
    """Every backend of the device."""
    return available_backends(torch.device(scope.device))


def measure(case: str, scope: Scope) -> Result:
    """Milliseconds of both directions, and relative differences from the CPU's compiled NUFFT."""
    name, device = "sax13" if "sax13" in scope.scans else "phantom", torch.device(scope.device)
    with tempfile.TemporaryDirectory() as folder:
        scan = scope.scan(name, Path(folder))
    reference, prepared = begin(scan, "fast", "cpu", ["nufft=compiled"])
    forget_memory(device)
    started = time.perf_counter()
    fit, _ = begin(scan, "fast", scope.device, [f"nufft={case}"], prepared)
    synchronise(device)
    result: Result = {"scan": name, "built_s": time.perf_counter() - started}
    random = torch.Generator().manual_seed(0)
    images = torch.randn(len(fit.data.frames), *prepared.matrix, dtype=torch.complex64, generator=random)
    there, operator = images.to(device), fit.data.operator.fourier
    maps, maps_there = reference.data.operator.maps, fit.data.operator.maps
    samples = reference.data.operator.fourier.measure(images, maps)
    samples_there = samples.to(device)
    result["forward_ms"] = clock(lambda: operator.measure(there, maps_there), device, ROUNDS)
    result["adjoint_ms"] = clock(lambda: operator.measure_adjoint(samples_there, maps_there, there), device, ROUNDS)
    wanted = reference.data.operator.fourier.measure_adjoint(samples, maps, images)
    found = operator.measure_adjoint(samples_there, maps_there, there)
    result["error"] = _relative(operator.measure(there, maps_there), samples)
    assert wanted[1] is not None and found[1] is not None
    result["adjoint_error"] = max(_relative(found[0], wanted[0]), _relative(found[1], wanted[1]))
    return result | memory(device)


def _relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.cpu() - wanted).norm() / wanted.norm())


def show(results: Results) -> str:
    """Times and errors."""
    return show_columns(results, COLUMNS, "backend")


def faults(results: Results) -> list[str]:
    """Backends that compute something else."""
    wrong = {case: max(one["error"], one["adjoint_error"]) for case, one in results.items()}
    return [f"transforms: {case} is off by {error:.2g}" for case, error in wrong.items() if not error <= ERROR]


STAGE = Stage(
    name="transforms",
    title="NUFFT backends",
    about=(
        "All frames and coils, on `sax13` where it is there, else on the phantom; the adjoint is that by images and by"
        " coil maps. Built: with the gridded frames and the field. Errors are relative to the CPU's compiled NUFFT."
    ),
    cases=cases,
    measure=measure,
    show=show,
    faults=faults,
    usual_s=15,
    limit_s=120,
)
