"""What one step of a fit is made of: launches, host synchronisations, kernels, memory; by torch's profiler.

The steps are those of the fit's own loop, late in its budget. Synchronisations that are no wait for a stream, such as
copies to the processor, are found by torch's debug mode, which names the line.
"""

import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.common import table
from benchmarks.gpu.stage import Result, Results, Scope, Stage, figure, show_columns
from benchmarks.gpu.steps import begin, forget_memory, kernels, memory, take_steps
from dainr.fit.loop import Fit
from dainr.operators.nufft import available_backends
from dainr.scan import Scan
from dainr.settings.presets import preset_names

WARM, TIMED, PROFILED = 6, 20, 5  # steps
PLAIN, AS_IT_IS = "plain-torch", "not-recorded"  # with no kernels of its own; with no CUDA graph
TOP = 12  # kernels
LAUNCHES, GRAPHS = ("cudaLaunchKernel", "cuLaunchKernel"), ("cudaGraphLaunch",)
WAITS = ("cudaStreamSynchronize", "cudaEventSynchronize")  # not cudaDeviceSynchronize: that is the clock's
COPIES = ("cudaMemcpy",)
COLUMNS = {
    "ms": "ms",
    "operations": "operations",
    "launches": "launches",
    "graphs": "graphs",
    "waits": "waits",
    "copies": "copies",
    "gpu_ms": "ms of kernels",
    "torch_mb": "torch MB",
    "device_mb": "device MB",
}


def cases(scope: Scope) -> list[str]:
    """`default` as it is fitted, not recorded and in plain torch, the other presets, the other NUFFT backends."""
    first, *others = ["sparse"] if scope.small else available_backends(torch.device(scope.device))
    default = [f"default {first}{how}" for how in ("", f" {AS_IT_IS}", f" {PLAIN}")]
    presets = [] if scope.small else [f"{name} {first}" for name in sorted(preset_names()) if name != "default"]
    return [*default, *presets, *(f"default {backend}" for backend in others)]


def measure(case: str, scope: Scope) -> Result:
    """Milliseconds of a step as it runs, then what the profiler sees of a few more."""
    name = "sax13" if "sax13" in scope.scans else "phantom"
    with tempfile.TemporaryDirectory() as folder:
        scan = scope.scan(name, Path(folder))
    with kernels(case.endswith(PLAIN)):
        return {"scan": name} | _of_scan(scan, case, scope)


def _of_scan(scan: Scan, case: str, scope: Scope) -> Result:
    preset, backend, *_ = case.split()
    device, pairs = torch.device(scope.device), [f"nufft={backend}", f"record_steps={AS_IT_IS not in case}"]
    forget_memory(device)
    fit, prepared = begin(scan, preset, scope.device, pairs)
    steps, seconds = take_steps(fit, WARM, TIMED)
    result: Result = {"ms": 1e3 * seconds / steps} | memory(device)
    fit, _ = begin(scan, preset, scope.device, pairs, prepared)
    result["lines"] = synchronising_lines(fit) if scope.on_cuda else {}
    fit, _ = begin(scan, preset, scope.device, pairs, prepared)
    profiler = profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if scope.on_cuda else [])])
    steps, _ = take_steps(fit, WARM, PROFILED, lambda: profiler)
    if scope.on_cuda and case == f"default {backend}":
        profiler.export_chrome_trace(str(scope.out / f"trace_{backend}.json.gz"))
    return result | counts(profiler.key_averages(), steps)


def counts(events: Any, steps: int) -> Result:
    """Of a step: operations of torch, launches, waits, copies, milliseconds of kernels, and the longest kernels."""
    kernels = [event for event in events if str(event.device_type).endswith("CUDA")]
    longest = sorted(kernels, key=lambda event: -event.self_device_time_total)[:TOP]
    on_host = [event for event in events if event not in kernels]

    def called(*names: str) -> float:
        return sum(event.count for event in on_host if event.key.startswith(names)) / steps

    result: Result = {"operations": called("aten::")}
    if kernels:
        result |= {"launches": called(*LAUNCHES), "graphs": called(*GRAPHS)}
        result |= {"waits": called(*WAITS), "copies": called(*COPIES)}
        result["gpu_ms"] = sum(event.self_device_time_total for event in kernels) / steps / 1e3
    result["longest"] = [
        {"kernel": e.key[:70], "times": e.count / steps, "ms": e.self_device_time_total / steps / 1e3} for e in longest
    ]
    return result


def synchronising_lines(fit: Fit) -> dict[str, int]:
    """The lines at which a few steps wait for the GPU, and how often."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        take_steps(fit, WARM, PROFILED, _debugged)
    lines = Counter(f"{Path(one.filename).name}:{one.lineno}" for one in caught if "synchroniz" in str(one.message))
    return dict(lines)


@contextmanager
def _debugged() -> Iterator[None]:
    torch.cuda.set_sync_debug_mode("warn")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def show(results: Results) -> str:
    """Figures of a step, the lines that wait, and the longest kernels of the first case."""
    blocks = [show_columns(results, COLUMNS, "preset, NUFFT, kernels")]
    for case, result in results.items():
        if result.get("lines"):
            lines = ", ".join(f"{line} ({number})" for line, number in result["lines"].items())
            blocks.append(f"{case}: waits in {PROFILED} steps or a few more: {lines}.")
    for longest in [result["longest"] for result in results.values() if result["longest"]][:1]:
        rows = [[f"`{one['kernel']}`", figure(one["times"]), figure(one["ms"])] for one in longest]
        blocks.append(table(("kernel", "times a step", "ms a step"), rows))
    return "\n\n".join(blocks)


STAGE = Stage(
    name="step",
    title="One step",
    about=(
        "Per step of the fit's own loop, late in its budget, on `sax13` where it is there, else on the phantom."
        " Not recorded: without CUDA graphs. Operations are torch's, with those within others. Launches, graphs, waits"
        " and copies are the calls of CUDA's runtime in a profiled step; ms is without the profiler. Memory on the"
        " device is that of all programs."
    ),
    cases=cases,
    measure=measure,
    show=show,
    usual_s=25,
    limit_s=180,
)
