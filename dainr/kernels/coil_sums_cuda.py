"""Sums over coil images on CUDA: over the coils and over the frames, in one launch that reads them once.

A program takes some pixels of all coils, frame by frame, so that neither sum needs another program.
"""

import triton
import triton.language as tl
from torch import Tensor

from dainr.kernels.compiling_cuda import in_order, launch, load_complex, store_complex

TILE = 512  # pixels of coil images a program holds, all coils together


def combine_cuda(coil_images: Tensor, maps: Tensor, images: Tensor | None, of_maps: Tensor | None) -> Tensor:
    """sum_c conj(maps) z of coil images z, `frame coil y x`; sum_f conj(images) z is added to `of_maps`."""
    n_frames, n_coils = coil_images.shape[:2]
    z, maps = in_order(coil_images), in_order(maps)
    n_pixels = maps[0].numel()
    combined = z.new_empty(n_frames, *z.shape[2:])
    both = images is not None and of_maps is not None
    coils = triton.next_power_of_2(n_coils)
    pixels = max(TILE // coils, 16)
    grid = triton.cdiv(n_pixels, pixels), 1 if both else n_frames
    seen, added = (in_order(images), of_maps) if images is not None and of_maps is not None else (maps, maps)
    sizes = n_frames if both else 1, n_coils, n_pixels
    launch(_coil_sums, grid, z, maps, seen, combined, added, *sizes, COILS=coils, PIXELS=pixels, BOTH=both)
    return combined


@triton.jit
def _coil_sums(  # type: ignore[no-untyped-def]
    coil_images,
    maps,
    images,
    combined,
    of_maps,
    n_frames,
    n_coils,
    n_pixels,
    COILS: tl.constexpr,
    PIXELS: tl.constexpr,
    BOTH: tl.constexpr,
):
    """Programs take all frames one after another where both sums are wanted, and one frame each otherwise."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    coil = tl.arange(0, COILS)
    inside = pixel < n_pixels
    place = coil.to(tl.int64)[:, None] * n_pixels + pixel[None, :]
    known = (coil < n_coils)[:, None] & inside[None, :]
    of_coil, of_coil_imaginary = load_complex(maps, place, known)
    total = tl.full((COILS, PIXELS), 0.0, tl.float32)
    total_imaginary = tl.full((COILS, PIXELS), 0.0, tl.float32)
    for number in range(n_frames):
        frame = tl.program_id(1).to(tl.int64) * n_frames + number
        real, imaginary = load_complex(coil_images, frame * n_coils * n_pixels + place, known)
        a = tl.sum(real * of_coil + imaginary * of_coil_imaginary, 0)
        b = tl.sum(imaginary * of_coil - real * of_coil_imaginary, 0)
        store_complex(combined, frame * n_pixels + pixel, a, b, inside)
        if BOTH:
            a, b = load_complex(images, frame * n_pixels + pixel, inside)
            total += real * a[None, :] + imaginary * b[None, :]
            total_imaginary += imaginary * a[None, :] - real * b[None, :]
    if BOTH:
        real, imaginary = load_complex(of_maps, place, known)
        store_complex(of_maps, place, real + total, imaginary + total_imaginary, known)
