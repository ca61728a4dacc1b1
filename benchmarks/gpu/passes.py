"""The compiled passes of a step, each alone, beside the same in plain torch: time, memory traffic, difference, bits.

On a GPU a pass is captured as a CUDA graph, many times in a row: what is timed is then the device and not the host.
"""

import dainr  # noqa: F401 - before torch, for it decides how threads wait

# isort: split
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.gpu.stage import Result, Results, Scope, Stage, show_columns
from benchmarks.gpu.steps import clock, kernels
from dainr.fields.hash_grid import GridConfig, HashGrid
from dainr.fields.lookup import FixedLookup
from dainr.kernels.coordinates import pixel_coordinates
from dainr.kernels.warp import warp
from dainr.losses.robust import huber_data
from dainr.losses.smoothness import magnitude, spatial_variation, temporal_variation
from dainr.operators import Acquisition, Batch
from dainr.operators.fourier import frame_points
from dainr.operators.nufft import make_nufft
from dainr.simulate.sampling import radial

CALLS, ROUNDS = 20, 5
ERROR = 1e-4  # relative, of single precision and sums of many
LOOKUP = GridConfig(levels=7, features_per_level=4, base=8, finest=192, log2_table=15, indexing="hash")
COLUMNS = {
    "ms": "ms",
    "plain_ms": "plain torch ms",
    "mb": "MB at least",
    "gb_s": "GB/s at least",
    "error": "difference",
    "same_bits": "same bits",
    "captured": "as a graph",
}


class Pass(NamedTuple):
    """What is timed, and the tensors that it has to read or write at least, where that is plain."""

    run: Callable[[], tuple[Tensor, ...]]
    moved: tuple[Tensor, ...] = ()


def cases(scope: Scope) -> list[str]:
    """All passes together: they share their inputs."""
    return ["all"]


def measure(case: str, scope: Scope) -> Result:
    """Of every pass, milliseconds by the kernels of the device and in plain torch, and how the results differ."""
    device = torch.device(scope.device)
    with kernels(plain=True):
        plain = {name: (one.run(), timed(one.run, device)[0]) for name, one in passes(scope).items()}
    with kernels(plain=False):
        return {name: _beside(one, *plain[name], device) for name, one in passes(scope).items()}


def _beside(own: Pass, wanted: tuple[Tensor, ...], plain_ms: float, device: torch.device) -> Result:
    found, again = own.run(), own.run()
    ms, captured = timed(own.run, device)
    mb = sum(t.numel() * t.element_size() for t in own.moved) / 1e6
    result: Result = {"ms": ms, "plain_ms": plain_ms, "captured": captured}
    result |= {"mb": mb, "gb_s": mb / ms} if mb else {}
    result["same_bits"] = all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    result["error"] = max(_difference(a, b) for a, b in zip(found, wanted, strict=True))
    return result


def timed(run: Callable[[], object], device: torch.device) -> tuple[float, bool | None]:
    """Milliseconds of a call, and whether a CUDA graph could take it."""
    if device.type != "cuda":
        return clock(run, device, ROUNDS), None
    graph = torch.cuda.CUDAGraph()
    try:
        for _ in range(3):  # compiles, and fills what is kept
            run()
        torch.cuda.synchronize(device)
        with torch.cuda.graph(graph):
            for _ in range(CALLS):
                run()
    except RuntimeError:
        return clock(run, device, ROUNDS), False
    return clock(graph.replay, device, ROUNDS) / CALLS, True


def passes(scope: Scope) -> dict[str, Pass]:
    """Every pass with tensors of the usual sizes, made with the kernels that are chosen now."""
    frames, coils, n = (6, 4, 32) if scope.small else (25, 8, 192)
    device, random = torch.device(scope.device), torch.Generator().manual_seed(0)

    def real(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random).to(device)

    def number(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.complex64, generator=random).to(device)

    series, moved, maps = number(frames, n, n), 2 * real(frames, 2, n, n), number(coils, n, n)
    lookup, table = (
        FixedLookup(LOOKUP, 0.5 * (pixel_coordinates((n, n), device) + 1)),
        real(*HashGrid(LOOKUP).table.shape),
    )
    grid, positions = HashGrid(GridConfig()).to(device), real(n * n, 2).sigmoid()
    with torch.no_grad():
        grid.table.copy_(real(*grid.table.shape))

    def encode(positions: Tensor, table: Tensor) -> Tensor:
        features: Tensor = torch.func.functional_call(grid, {"table": table}, (positions,))
        return features

    readouts, frame = radial(frames, 13, (n, n))
    points = frame_points(readouts, frame, frames)
    operator = make_nufft("sparse", points, (n, n), coils, device)
    samples, weight = number(coils, readouts[..., 0].size), real(readouts[..., 0].size).square()
    batch = Batch(
        tuple(map(float, range(frames))), torch.arange(1.0 * frames), samples, weight, Acquisition(maps, operator)
    )
    of_steps, twice = real(frames).square(), (series, series)
    image = (series, moved, series)  # read, read and written
    return {
        "warp": Pass(lambda: (warp(series, moved),), image),
        "warp and gradients": Pass(lambda: _both(warp, series, moved), (*image, *image, series, moved)),
        "temporal variation": Pass(lambda: _both(lambda x: temporal_variation(x, True, 1e-3, of_steps), series), twice),
        "spatial variation": Pass(lambda: _both(lambda x: spatial_variation(x, 1e-3, 0.3), series), twice),
        "magnitude": Pass(lambda: _both(lambda x: magnitude(x, 1e-3, 0.3), series), twice),
        "lookup": Pass(lambda: (lookup(table),)),
        "lookup and gradient": Pass(lambda: _both(lookup, table)),
        "encoding": Pass(lambda: (grid(positions).detach(),)),
        "encoding and gradients": Pass(lambda: _both(encode, positions, grid.table)),
        "coil images to samples": Pass(lambda: (operator.measure(series, maps),)),
        "samples to images and maps": Pass(lambda: _sums(operator.measure_adjoint(samples, maps, series))),
        "data term": Pass(lambda: _both(lambda x, c: huber_data(x, c, batch, weight, 1.0, 3.0), series, maps)),
    }


def _both(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """The value, and the gradients of the sum of its parts to all inputs."""
    leaves = [x.detach().requires_grad_() for x in inputs]
    value = function(*leaves)
    return value.detach(), *torch.autograd.grad(value, leaves, torch.ones_like(value))


def _sums(found: tuple[Tensor, Tensor | None]) -> tuple[Tensor, ...]:
    return tuple(x for x in found if x is not None)


def _difference(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


def show(results: Results) -> str:
    """Times, traffic and differences."""
    return show_columns(_by_pass(results), COLUMNS, "pass")


def faults(results: Results) -> list[str]:
    """Passes that compute something else, or something else each time."""
    found = []
    for name, result in _by_pass(results).items():
        if not result["error"] <= ERROR:
            found.append(f"passes: {name} is off by {result['error']:.2g}")
        if not result["same_bits"]:
            found.append(f"passes: {name} has other bits each time")
    return found


def _by_pass(results: Results) -> Results:
    return {name: one for result in results.values() for name, one in result.items() if isinstance(one, dict)}


STAGE = Stage(
    name="passes",
    title="Passes of a step",
    about=(
        "By the kernels of the device and in plain torch, 192 x 192 pixels, 25 frames, 13 spokes and 8 coils. MB: what"
        " has to be read and written at least, where that is plain."
    ),
    cases=cases,
    measure=measure,
    show=show,
    faults=faults,
    usual_s=30,
    limit_s=180,
)
