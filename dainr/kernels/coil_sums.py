"""Sums over coil images: what the adjoint of coil maps is made of."""

import numpy as np
from jaxtyping import Complex
from numba import prange
from torch import Tensor

from dainr.kernels.compiling import as_array, chosen, inner, kernel, on_cuda, share_threads


def combine(
    coil_images: Complex[Tensor, "frame coil y x"],
    maps: Complex[Tensor, "coil y x"],
    images: Complex[Tensor, "frame y x"] | None = None,
    of_maps: Complex[Tensor, "coil y x"] | None = None,
) -> Complex[Tensor, "frame y x"]:
    """sum_c conj(maps) z of coil images z; where images are given, sum_f conj(images) z is added to `of_maps`."""
    compute = chosen(coil_images.device, _combine_plain, cpu=_combine_cpu, cuda=_combine_cuda)
    return compute(coil_images, maps, images, of_maps)


def _combine_plain(coil_images: Tensor, maps: Tensor, images: Tensor | None, of_maps: Tensor | None) -> Tensor:
    if images is not None and of_maps is not None:
        of_maps += (coil_images * images[:, None].conj()).sum(0)
    return (coil_images * maps.conj()).sum(1)


_combine_cuda = on_cuda("coil_sums_cuda.combine_cuda", _combine_plain)


def _combine_cpu(coil_images: Tensor, maps: Tensor, images: Tensor | None, of_maps: Tensor | None) -> Tensor:
    combined = coil_images.new_empty(len(coil_images), *coil_images.shape[2:])
    if images is None or of_maps is None:
        images = of_maps = combined[:0]
    share_threads()
    _combine(*map(as_array, (coil_images, maps, combined, images, of_maps)))
    return combined


@inner
def add_conjugate(a, b, out):  # type: ignore[no-untyped-def]
    """The products of a row with the conjugate of another, added to a third."""
    for x in range(len(out)):
        out[x] += a[x] * np.conj(b[x])


@kernel
def _combine(coil_images, maps, combined, images, of_maps):  # type: ignore[no-untyped-def]
    """One pass; rows are shared among the threads, so that none meets another."""
    n_frames, n_coils, ny = coil_images.shape[:3]
    for y in prange(ny):
        for frame in range(n_frames):
            combined[frame, y] = 0
            for coil in range(n_coils):
                add_conjugate(coil_images[frame, coil, y], maps[coil, y], combined[frame, y])
                if len(of_maps):
                    add_conjugate(coil_images[frame, coil, y], images[frame, y], of_maps[coil, y])
