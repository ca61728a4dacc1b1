"""Where ISMRMRD samples lie in k-space: stored trajectories in their several units, and Cartesian lines."""

from typing import Any

import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.ismrmrd_geometry import Geometry
from dainr.scan import K_MAX, K_TOLERANCE

GUARD = 2  # samples beside missing ones


def stored_trajectory(acquisitions: list[Any], geometry: Geometry, where: str, notes: list[str]) -> np.ndarray:
    """Trajectory `readout sample 2` (ky, kx) in cycles per pixel; files store (kx, ky) in one of three units."""
    stored = np.stack([a.traj for a in acquisitions]).astype(np.float64)
    if stored.shape[-1] > 2 and np.ptp(stored[..., 2]) > K_TOLERANCE:
        raise BadScan(where, "its trajectory has a third, changing component", "reconstruct 2-D slices, one file each")
    largest = np.abs(stored[..., :2]).max(initial=0)
    if not np.isfinite(largest):
        raise BadScan(where, "its trajectory holds NaN or Inf", "export it again")
    if largest <= K_MAX + K_TOLERANCE:
        unit, name = np.ones(2), "cycles per pixel"
    elif largest <= np.pi * (1 + K_TOLERANCE):
        unit, name = np.full(2, 1 / (2 * np.pi)), "radians per pixel"
    else:
        unit, name = 1 / np.array(geometry.matrix), "cycles per field of view"
    notes.append(f"trajectory read in {name}")
    return stored[..., 1::-1] * unit


def cartesian_readouts(
    acquisitions: list[Any], keep: slice, geometry: Geometry, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """K-space `coil readout sample` and trajectory `readout sample 2` of Cartesian lines, oversampling removed."""
    first = acquisitions[0]
    turned = [a.is_flag_set(ismrmrd.ACQ_IS_REVERSE) for a in acquisitions]
    lines = [a.data[:, keep][:, :: -1 if turn else 1] for a, turn in zip(acquisitions, turned, strict=True)]
    n_reversed = sum(turned)
    if n_reversed:
        notes.append(f"{n_reversed} reversed readouts turned round")
    kspace = np.stack(lines, 1)
    n_samples, n_encoded = kspace.shape[-1], geometry.encoded[1]
    before, after = keep.start, first.number_of_samples - keep.stop
    shift = first.discard_pre - first.discard_post
    if turned[0]:
        before, shift = after, -shift
    centre = (first.center_sample or (first.number_of_samples + shift) // 2) - before
    if centre != n_samples // 2 or n_samples != n_encoded:
        notes.append(f"asymmetric echo: k-space centre at sample {centre} of {n_samples}")
    pixel_y, pixel_x = geometry.fov_mm[0] / geometry.matrix[0], geometry.fov_mm[1] / geometry.matrix[1]
    fov_x = geometry.encoded_fov_mm[1]
    n_cropped, before = round(n_encoded * geometry.fov_mm[1] / fov_x), n_encoded // 2 - centre
    if n_cropped < n_encoded and 0 <= before <= n_encoded - n_samples:
        notes.append(f"readout oversampling removed: {n_encoded} to {n_cropped} samples")
        kspace, of_grid = _crop_readout(kspace, before, n_encoded, n_cropped)
        fov_x *= n_cropped / n_encoded
        kx = (of_grid - n_cropped // 2) * pixel_x / fov_x
    else:
        kx = (np.arange(n_samples) - centre) * pixel_x / fov_x
    ky = np.array([a.idx.kspace_encode_step_1 - geometry.centre_line for a in acquisitions], np.float64)
    ky *= pixel_y / geometry.encoded_fov_mm[0]
    inside_x = (kx >= -K_MAX - K_TOLERANCE) & (kx < K_MAX - K_TOLERANCE)
    if not inside_x.all():
        notes.append(f"{int((~inside_x).sum())} samples a readout lie beyond the resolution of the matrix: dropped")
        kspace, kx = kspace[..., inside_x], kx[inside_x]
    return kspace, np.stack(np.broadcast_arrays(ky[:, None], kx[None]), -1)


def _crop_readout(kspace: np.ndarray, before: int, n_encoded: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Keep the central `n` of `n_encoded` pixels of the readout direction, and those of its `n` samples known then.

    `before`: samples missing before the first. Beside missing samples the crop mixes their absence into `GUARD` of
    the others, which are left out. Returns k-space and its places on the grid of `n`, whose centre is at n // 2.
    """
    after = n_encoded - before - kspace.shape[-1]
    whole = np.pad(kspace, [(0, 0)] * (kspace.ndim - 1) + [(before, after)])
    image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(whole, axes=-1), axis=-1, norm="ortho"), axes=-1)
    start = n_encoded // 2 - n // 2
    cropped = np.fft.fft(np.fft.ifftshift(image[..., start : start + n], axes=-1), axis=-1, norm="ortho")
    place = n // 2 + (np.array([before, n_encoded - after - 1]) - n_encoded // 2) * n / n_encoded
    first = int(np.ceil(place[0])) + GUARD if before else 0
    last = int(np.floor(place[1])) - GUARD if after else n - 1
    kept = np.arange(first, last + 1)
    return np.fft.fftshift(cropped, axes=-1)[..., kept], kept
