"""Sums over coil images: what the adjoint of coil maps is made of."""

import numpy as np
from jaxtyping import Complex
from numba import prange
from torch import Tensor

from dainr.kernels import kernel, share_threads


def combine(
    coil_images: Complex[Tensor, "frame coil y x"],
    maps: Complex[Tensor, "coil y x"],
    images: Complex[Tensor, "frame y x"] | None = None,
    of_maps: Complex[Tensor, "coil y x"] | None = None,
) -> Complex[Tensor, "frame y x"]:
    """sum_c conj(maps) z of coil images z; where images are given, sum_f conj(images) z is added to `of_maps`."""
    if coil_images.is_cuda:
        if images is not None and of_maps is not None:
            of_maps += (coil_images * images[:, None].conj()).sum(0)
        return (coil_images * maps.conj()).sum(1)
    combined = coil_images.new_empty(len(coil_images), *coil_images.shape[2:])
    if images is None or of_maps is None:
        images = of_maps = combined[:0]
    share_threads()
    _combine(*map(_array, (coil_images, maps, combined, images, of_maps)))
    return combined


def _array(z: Tensor) -> np.ndarray:
    return z.resolve_conj().contiguous().numpy()


@kernel
def _combine(coil_images, maps, combined, images, of_maps):  # type: ignore[no-untyped-def]
    """One pass; rows are shared among the threads, so that none meets another."""
    n_frames, n_coils, ny, nx = coil_images.shape
    for y in prange(ny):
        for frame in range(n_frames):
            out = combined[frame, y]
            out[:] = 0
            for coil in range(n_coils):
                z, s = coil_images[frame, coil, y], maps[coil, y]
                for x in range(nx):
                    out[x] += z[x] * np.conj(s[x])
                if len(of_maps):
                    seen, of_map = images[frame, y], of_maps[coil, y]
                    for x in range(nx):
                        of_map[x] += z[x] * np.conj(seen[x])
