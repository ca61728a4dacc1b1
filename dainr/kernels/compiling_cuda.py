"""What the passes on CUDA have in common: how Triton's kernels are launched, complex numbers and sums in them.

These modules are imported when a pass first runs on CUDA: Triton comes with torch's builds for CUDA, and only there.
Everything is queued on the tensors' device and its current stream, and nothing is read back: a step can be captured as
a CUDA graph. Sums have a fixed order, so that the same input gives the same bits.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Tensor | float, **constants: int) -> None:
    """Queue a kernel on the device of its first argument; complex tensors go in as pairs of real numbers.

    Raises:
        ValueError: a tensor is not contiguous: the kernels count in memory order.
    """
    first = arguments[0]
    assert isinstance(first, Tensor)
    with torch.cuda.device_of(first):  # Triton launches on the current device, which may be another
        kernel[grid](*(_lanes(a) if isinstance(a, Tensor) else a for a in arguments), **constants)


def _lanes(z: Tensor) -> Tensor:
    if not z.is_contiguous() or z.is_conj():
        raise ValueError(f"a kernel was given a tensor of shape {tuple(z.shape)} that is not as it is in memory")
    return torch.view_as_real(z.detach()) if z.is_complex() else z.detach()


def in_order(z: Tensor) -> Tensor:
    """A tensor as a kernel needs it: contiguous, conjugates written out; a copy only where it is not so already."""
    return z.detach().resolve_conj().contiguous()


@triton.jit
def load_complex(pointer, index, mask):  # type: ignore[no-untyped-def]
    """Real and imaginary parts of the complex numbers with these indices; zero where masked."""
    lane = tl.expand_dims(2 * index, -1) + tl.arange(0, 2)
    return tl.split(tl.load(pointer + lane, tl.expand_dims(mask, -1), 0.0))


@triton.jit
def store_complex(pointer, index, real, imaginary, mask):  # type: ignore[no-untyped-def]
    """Complex numbers to these indices, where not masked."""
    lane = tl.expand_dims(2 * index, -1) + tl.arange(0, 2)
    tl.store(pointer + lane, tl.join(real, imaginary), tl.expand_dims(mask, -1))


@triton.jit
def _add_one(numbers, n, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(numbers + index, tl.load(numbers + index, index < n) + 1, index < n)


def try_out(device: torch.device) -> None:
    """Compile and run a kernel of one line: whatever is missing here, a compiler or a driver, is missing for all.

    Raises:
        RuntimeError: it ran, and its result is wrong; or what Triton raises.
    """
    numbers = torch.arange(100.0, device=device)
    launch(_add_one, (2,), numbers, len(numbers), BLOCK=64)
    if not torch.equal(numbers.cpu(), torch.arange(1.0, 101.0)):
        raise RuntimeError("a kernel that adds one gives something else")
