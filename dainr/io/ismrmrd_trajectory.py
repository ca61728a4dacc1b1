"""Where ISMRMRD samples lie in k-space: stored trajectories in their several units, and Cartesian lines."""

from typing import Any

import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.ismrmrd_geometry import Geometry
from dainr.scan import K_MAX, K_TOLERANCE


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
    n_samples = kspace.shape[-1]
    centre = (first.center_sample - first.discard_pre) if first.center_sample else n_samples // 2
    pixel_y, pixel_x = geometry.fov_mm[0] / geometry.matrix[0], geometry.fov_mm[1] / geometry.matrix[1]
    fov_x = geometry.encoded_fov_mm[1]
    n_cropped = round(n_samples * geometry.fov_mm[1] / fov_x)
    symmetric = centre == n_samples // 2 and n_samples == geometry.encoded[1]
    if symmetric and n_cropped < n_samples:
        notes.append(f"readout oversampling removed: {n_samples} to {n_cropped} samples")
        kspace = _crop_readout(kspace, n_cropped)
        fov_x *= n_cropped / n_samples
        n_samples, centre = n_cropped, n_cropped // 2
    elif not symmetric:
        notes.append(f"asymmetric echo: k-space centre at sample {centre} of {n_samples}")
    kx = (np.arange(n_samples) - centre) * pixel_x / fov_x
    ky = np.array([a.idx.kspace_encode_step_1 - geometry.centre_line for a in acquisitions], np.float64)
    ky *= pixel_y / geometry.encoded_fov_mm[0]
    inside_x = (kx >= -K_MAX - K_TOLERANCE) & (kx < K_MAX - K_TOLERANCE)
    if not inside_x.all():
        notes.append(f"{int((~inside_x).sum())} samples a readout lie beyond the resolution of the matrix: dropped")
        kspace, kx = kspace[..., inside_x], kx[inside_x]
    return kspace, np.stack(np.broadcast_arrays(ky[:, None], kx[None]), -1)


def _crop_readout(kspace: np.ndarray, n: int) -> np.ndarray:
    """Keep the central `n` pixels of the readout direction; the centre of either grid is index n // 2."""
    image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(kspace, axes=-1), axis=-1, norm="ortho"), axes=-1)
    start = kspace.shape[-1] // 2 - n // 2
    image = image[..., start : start + n]
    return np.fft.fftshift(np.fft.fft(np.fft.ifftshift(image, axes=-1), axis=-1, norm="ortho"), axes=-1)
