"""Every pass on CUDA with the sizes of a real scan, and what it launches; as a program, compiles them for a GPU.

It runs them on tensors of the meta device, which have a shape and no numbers: nothing can be read from them.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
from torch import Tensor

from dainr.kernels import coil_sums_cuda, huber_cuda, sparse_cuda, variation_cuda, warp_cuda

MODULES = coil_sums_cuda, huber_cuda, sparse_cuda, variation_cuda, warp_cuda
FRAMES, COILS, MATRIX, POINTS = 25, 8, (192, 192), 25 * 13 * 384
ENTRIES = 64 * POINTS  # of the NUFFT's interpolation
LEVELS, TABLE = 7, 100_000  # of a hash grid, and its entries


class Launch(NamedTuple):
    """A kernel and what it is given."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: tuple[Tensor | float, ...]
    constants: dict[str, int]


@contextmanager
def recorded() -> Iterator[list[Launch]]:
    """Launches are written down and not done."""
    found: list[Launch] = []

    def record(kernel: Any, grid: tuple[int, ...], *arguments: Tensor | float, **constants: int) -> None:
        assert all(a.is_contiguous() for a in arguments if isinstance(a, Tensor))
        found.append(Launch(kernel, grid, arguments, constants))

    with ExitStack() as patches:
        for module in MODULES:
            patches.enter_context(patch.object(module, "launch", record))
        yield found


def number(*shape: int) -> Tensor:
    return torch.empty(shape, dtype=torch.complex64, device="meta")


def real(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _product(n_rows: int, n_entries: int, n_columns: int, n_numbers: int, longest: int = 0) -> Tensor:
    first, columns = real(n_rows + 1, dtype=torch.int32), real(n_entries, dtype=torch.int32)
    return sparse_cuda.product_cuda(first, columns, real(n_entries), longest, real(n_columns, n_numbers))


def _warp_backward() -> tuple[Tensor, ...]:
    images, moved = number(FRAMES, *MATRIX).requires_grad_(), real(FRAMES, 2, *MATRIX).requires_grad_()
    return torch.autograd.grad(warp_cuda.warp_cuda(images, moved), [images, moved], number(FRAMES, *MATRIX))


def _cells() -> int:
    return FRAMES * 240 * 240


PIXELS = MATRIX[0] * MATRIX[1]
PASSES: dict[str, Callable[[], Any]] = {
    "lookup": lambda: _product(PIXELS * LEVELS, 4 * PIXELS * LEVELS, TABLE, 4),
    "its transpose": lambda: _product(TABLE, 4 * PIXELS * LEVELS, PIXELS * LEVELS, 4, 1800),
    "interpolation": lambda: _product(POINTS, ENTRIES, _cells(), 2 * COILS),
    "interpolation back": lambda: _product(_cells(), ENTRIES, POINTS, 2 * COILS, 400),
    "warp": lambda: warp_cuda.warp_cuda(number(FRAMES, *MATRIX), real(FRAMES, 2, *MATRIX)),
    "warp and its gradients": _warp_backward,
    "Huber loss": lambda: huber_cuda.huber_cuda(
        number(COILS, POINTS), number(COILS, POINTS), real(POINTS), real(POINTS)
    ),
    "temporal variation": lambda: variation_cuda.temporal_cuda(number(FRAMES, *MATRIX), True, 1e-3, real(FRAMES)),
    "temporal variation, not cyclic": lambda: variation_cuda.temporal_cuda(
        number(FRAMES, *MATRIX), False, 1e-3, real(FRAMES)
    ),
    "spatial variation": lambda: variation_cuda.spatial_cuda(number(FRAMES, *MATRIX), 1e-3, real()),
    "magnitude": lambda: variation_cuda.magnitude_cuda(number(FRAMES, *MATRIX), 1e-3, 0.1),
    "sum over coils": lambda: coil_sums_cuda.combine_cuda(
        number(FRAMES, COILS, *MATRIX), number(COILS, *MATRIX), None, None
    ),
    "sums over coils and frames": lambda: coil_sums_cuda.combine_cuda(
        number(FRAMES, COILS, *MATRIX), number(COILS, *MATRIX), number(FRAMES, *MATRIX), number(COILS, *MATRIX)
    ),
}


def compile_for(launch: Launch, capability: int) -> Any:
    """What Triton and ptxas make of a launch for GPUs of a compute capability, without one."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    names = launch.kernel.arg_names
    kinds = {torch.complex64: "*fp32", torch.float32: "*fp32", torch.int32: "*i32", torch.int64: "*i64"}
    signature, constants = {}, {}
    for name, argument in zip(names, launch.arguments, strict=False):
        if isinstance(argument, Tensor):
            signature[name] = kinds[argument.dtype]
        else:
            signature[name] = "i32" if isinstance(argument, int) else "fp32"
    for name, value in launch.constants.items():
        if name in names:
            signature[name], constants[name] = "constexpr", value
    options = {name: value for name, value in launch.constants.items() if name not in names}
    aligned = {(names.index(n),): [["tt.divisibility", 16]] for n, kind in signature.items() if kind.startswith("*")}
    source = ASTSource(launch.kernel, signature, constants, aligned)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


if __name__ == "__main__":
    for name, run in PASSES.items():
        with recorded() as launches:
            run()
        for launch in launches:
            compiled = compile_for(launch, int(sys.argv[1]))
            size, shared = len(compiled.asm["cubin"]), compiled.metadata.shared
            sys.stdout.write(f"{name}: {launch.kernel.fn.__name__}, {size} bytes, {shared} of shared memory\n")
