"""Every pass on CUDA with the sizes of a real scan, and what it launches.

They run on tensors of the meta device, which have a shape and no numbers: nothing can be read from them. As a program
it prints what they move; `python -m tests.kernels.cuda_passes 90` compiles them for GPUs of compute capability 9.0.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.runtime import driver

from dainr.fields.hash_grid import GridConfig, grid_levels
from dainr.kernels import (
    coil_sums_cuda,
    compiling_cuda,
    fixed_point_cuda,
    hash_grid_cuda,
    huber_cuda,
    sparse_cuda,
    variation_cuda,
    warp_cuda,
)

MODULES = coil_sums_cuda, fixed_point_cuda, hash_grid_cuda, huber_cuda, sparse_cuda, variation_cuda, warp_cuda
FRAMES, COILS, MATRIX, POINTS = 25, 8, (192, 192), 25 * 13 * 384
CELLS = FRAMES * 240 * 240  # of the NUFFT's finer grid
LEVELS, TABLE, PIECES = 7, 52_704, 54_000  # of the hash grid, its entries, and the pieces that lookups of these come in
PIXELS = MATRIX[0] * MATRIX[1]
PAPER = GridConfig()
# what is read and written, and what else: sums are set to zero first, and the largest gradient is sought
AGAIN = {"_huber": ("samples",), "_coil_sums": ("of_maps",)}
AGAIN |= dict.fromkeys(("_warp_backward", "_encoding_backward"), ("sums", "gradient"))


class Launch(NamedTuple):
    """A kernel and what it is given."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: tuple[Tensor | float, ...]
    constants: dict[str, int]


@contextmanager
def recorded(done: bool = False) -> Iterator[list[Launch]]:
    """Launches are written down, and done or not."""
    found: list[Launch] = []

    def record(kernel: Any, grid: tuple[int, ...], *arguments: Tensor | float, **constants: int) -> None:
        assert all(a.is_contiguous() for a in arguments if isinstance(a, Tensor))
        found.append(Launch(kernel, grid, arguments, constants))
        if done:
            compiling_cuda.launch(kernel, grid, *arguments, **constants)

    with ExitStack() as patches:
        for module in MODULES:
            patches.enter_context(patch.object(module, "launch", record))
        yield found


def number(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.complex64, device="meta")


def real(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _product(n_rows: int, n_entries: int, n_columns: int, n_numbers: int) -> Tensor:
    first, columns = real(n_rows + 1, dtype=torch.int32), real(n_entries, dtype=torch.int32)
    return sparse_cuda.product_cuda(first, columns, real(n_entries), real(n_columns, n_numbers))


def _warp(frames: int, matrix: tuple[int, int], gradients: bool) -> tuple[Tensor, ...]:
    images, displacement = number(frames, *matrix).requires_grad_(), real(frames, 2, *matrix).requires_grad_()
    warped = warp_cuda.warp_cuda(images, displacement)
    return torch.autograd.grad(warped, [images, displacement], number(frames, *matrix)) if gradients else (warped,)


def _encode(points: int, gradients: bool, config: GridConfig = PAPER) -> tuple[Tensor, ...]:
    levels = grid_levels(config)
    positions = real(points, 2).requires_grad_()
    table = real(levels[-1].offset + levels[-1].size, config.features_per_level).requires_grad_()
    features = hash_grid_cuda.interpolate_cuda(positions, table, levels)
    return torch.autograd.grad(features, [positions, table], torch.empty_like(features)) if gradients else (features,)


def _huber(coils: int, points: int) -> tuple[Tensor, ...]:
    return huber_cuda.huber_cuda(number(coils, points), number(coils, points), real(points), real(points))


def _temporal(frames: int, matrix: tuple[int, int], cyclic: bool) -> tuple[Tensor, ...]:
    return variation_cuda.temporal_cuda(number(frames, *matrix), cyclic, 1e-3, real(frames))


def _combine(frames: int, coils: int, matrix: tuple[int, int], both: bool) -> Tensor:
    images, of_maps = (number(frames, *matrix), number(coils, *matrix)) if both else (None, None)
    return coil_sums_cuda.combine_cuda(number(frames, coils, *matrix), number(coils, *matrix), images, of_maps)


PASSES: dict[str, Callable[[], Any]] = {
    "lookup in the hash grid": lambda: _product(PIXELS * LEVELS, 4 * PIXELS * LEVELS, TABLE, 4),
    "lookup back to the table": lambda: (
        _product(PIECES, 4 * PIXELS * LEVELS, PIXELS * LEVELS, 4),
        _product(TABLE, PIECES, PIECES, 4),
    ),
    "encoding of a frame, preset `paper`": lambda: _encode(PIXELS, False),
    "encoding of a frame and its gradients": lambda: _encode(PIXELS, True),
    "NUFFT from the grid": lambda: _product(POINTS, 64 * POINTS, CELLS, 2 * COILS),
    "NUFFT back to the grid": lambda: _product(CELLS, 64 * POINTS, POINTS, 2 * COILS),
    "warp": lambda: _warp(FRAMES, MATRIX, False),
    "warp and its gradients": lambda: _warp(FRAMES, MATRIX, True),
    "Huber loss and its gradient": lambda: _huber(COILS, POINTS),
    "temporal variation and its gradient": lambda: _temporal(FRAMES, MATRIX, True),
    "temporal variation, not cyclic": lambda: _temporal(FRAMES, MATRIX, False),
    "spatial variation and its gradient": lambda: variation_cuda.spatial_cuda(number(FRAMES, *MATRIX), 1e-3, real()),
    "magnitude and its gradient": lambda: variation_cuda.magnitude_cuda(number(FRAMES, *MATRIX), 1e-3, 0.1),
    "sum over coils": lambda: _combine(FRAMES, COILS, MATRIX, False),
    "sums over coils and over frames": lambda: _combine(FRAMES, COILS, MATRIX, True),
}
SMALLEST: dict[str, Callable[[], Any]] = {
    "product": lambda: _product(1, 1, 1, 1),
    "warp": lambda: _warp(1, (1, 1), True),
    "encoding": lambda: _encode(1, True, GridConfig(levels=1, features_per_level=1, finest=16)),
    "Huber": lambda: _huber(1, 1),
    "temporal": lambda: _temporal(1, (1, 1), True),
    "spatial": lambda: variation_cuda.spatial_cuda(number(1, 1, 1), 1e-3, 0.1),
    "magnitude": lambda: variation_cuda.magnitude_cuda(number(1, 1, 1), 1e-3, 0.1),
    "coils": lambda: _combine(1, 1, (1, 1), False),
    "coils and frames": lambda: _combine(1, 1, (1, 1), True),
}


class NoGpu(NamedTuple):
    """In the place of a CUDA driver: the GPU that kernels are compiled for."""

    capability: int

    def get_current_target(self) -> Any:
        """Its architecture."""
        return GPUTarget("cuda", self.capability, 32)

    def get_current_device(self) -> int:
        """Its number."""
        return 0

    def get_current_stream(self, device: int) -> int:
        """Its queue."""
        return 0


def compiled(launch: Launch) -> Any:
    """What Triton and ptxas make of a launch, by the way that leads to a GPU, up to the launch itself."""
    arguments = (compiling_cuda._lanes(a) if isinstance(a, Tensor) else a for a in launch.arguments)
    return launch.kernel.warmup(*arguments, grid=launch.grid, **launch.constants)


def moved(launches: list[Launch]) -> int:
    """Bytes that go to or from memory at least: every number once, and again where it is changed in its place."""
    total = 0
    for launch in launches:
        tensors = {id(a): a for a in launch.arguments if isinstance(a, Tensor)}
        total += sum(t.numel() * t.element_size() for t in tensors.values())
        names = dict(zip(launch.kernel.arg_names, launch.arguments, strict=False))
        again = [names[name] for name in AGAIN.get(launch.kernel.fn.__name__, ())]
        total += sum(t.numel() * t.element_size() for t in again if isinstance(t, Tensor))
    return total


def table() -> list[str]:
    """Of every pass: its launches, and the megabytes it has to move."""
    lines = []
    for name, run in PASSES.items():
        with recorded() as launches:
            run()
        lines.append(f"| {name} | {len(launches)} | {moved(launches) / 1e6:.1f} |")
    return lines


def compile_all(capability: int) -> None:
    """Every kernel, for the sizes of a real scan and for those of the smallest."""
    driver.set_active(NoGpu(capability))
    for name, run in (PASSES | SMALLEST).items():
        with recorded() as launches:
            run()
        for launch in launches:
            size = len(compiled(launch).asm["cubin"])
            sys.stdout.write(f"{name}: {launch.kernel.fn.__name__}, {size} bytes\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        compile_all(int(sys.argv[1]))
    else:
        sys.stdout.write("\n".join(table()) + "\n")
