"""Where ISMRMRD samples lie in k-space: stored trajectories in their several units, and Cartesian lines."""

from typing import Any

import ismrmrd
import numpy as np

from dainr.errors import BadScan
from dainr.io.scans.ismrmrd_geometry import Geometry
from dainr.scan import K_MAX, K_TOLERANCE

GUARD = 2  # samples beside missing ones
MOST_MISSING = 4  # times as long as what was measured of it, a readout is no asymmetric echo


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


def check_same(name: str, acquisitions: list[Any], where: str) -> None:
    """Raises BadScan where readouts of one direction differ in what their headers say by this name."""
    told = {(a.is_flag_set(ismrmrd.ACQ_IS_REVERSE), getattr(a, name)) for a in acquisitions}
    if len(told) > len({reverse for reverse, _ in told}):
        raise BadScan(where, f"its readouts differ in {name}: {sorted({v for _, v in told})}", "export one protocol")


def cartesian_readouts(
    acquisitions: list[Any], keep: slice, geometry: Geometry, where: str, notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """K-space `coil readout sample` and trajectory `readout sample 2` of Cartesian lines, oversampling removed.

    `keep`: the samples of a readout, in the order they were measured in. Raises BadScan where lines or samples lie
    beyond what the header tells, or the echo comes now earlier, now later.
    """
    check_same("center_sample", acquisitions, where)
    turned = [a.is_flag_set(ismrmrd.ACQ_IS_REVERSE) for a in acquisitions]
    if any(turned):
        notes.append(f"{sum(turned)} reversed readouts turned round")
    lines = [a.data[:, keep][:, :: -1 if turn else 1] for a, turn in zip(acquisitions, turned, strict=True)]
    kspace, kx = _along(np.stack(lines, 1), _centre(acquisitions[0], keep, turned[0]), geometry, notes)
    inside_x = (kx >= -K_MAX - K_TOLERANCE) & (kx < K_MAX - K_TOLERANCE)
    if not inside_x.any():
        raise BadScan(
            where, "no sample of its readouts lies near the k-space centre its header tells", "export it again"
        )
    if not inside_x.all():
        notes.append(
            f"{int((~inside_x).sum())} samples of each readout lie beyond the resolution of the matrix: dropped"
        )
        kspace, kx = kspace[..., inside_x], kx[inside_x]
    step = np.array([a.idx.kspace_encode_step_1 for a in acquisitions])
    ky = (step - geometry.centre_line) * (geometry.fov_mm[0] / geometry.matrix[0] / geometry.encoded_fov_mm[0])
    if np.abs(ky).max() > K_MAX + K_TOLERANCE:
        lines_told = f"lines {step.min()} to {step.max()} about {geometry.centre_line}"
        raise BadScan(where, f"its {lines_told} are more than its encoded matrix holds", "export it again")
    return kspace, np.stack(np.broadcast_arrays(ky[:, None], kx[None]), -1)


def _centre(first: Any, keep: slice, turned: bool) -> int:
    """Which of the samples kept, once turned, is the k-space centre: as told, or the middle of those not discarded."""
    n = first.number_of_samples
    before, shift = keep.start, first.discard_pre - first.discard_post
    if turned:
        before, shift = n - keep.stop, -shift
    return (first.center_sample or (n + shift) // 2) - before


def _along(kspace: np.ndarray, centre: int, geometry: Geometry, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """K-space and the kx of its samples, in cycles per pixel, without oversampling."""
    n_samples = kspace.shape[-1]
    n_encoded = max(geometry.encoded[1], n_samples)
    if centre != n_samples // 2 or n_samples < n_encoded:
        notes.append(f"asymmetric echo: k-space centre at sample {centre} of {n_samples}")
    pixel, fov = geometry.fov_mm[1] / geometry.matrix[1], geometry.encoded_fov_mm[1]
    n_cropped, before = round(n_encoded * geometry.fov_mm[1] / fov), n_encoded // 2 - centre
    if not (0 < n_cropped < n_encoded <= MOST_MISSING * n_samples and 0 <= before <= n_encoded - n_samples):
        return kspace, (np.arange(n_samples) - centre) * pixel / fov
    notes.append(f"readout oversampling removed: {n_encoded} to {n_cropped} samples")
    kspace, of_grid = _crop_readout(kspace, before, n_encoded, n_cropped)
    return kspace, (of_grid - n_cropped // 2) * pixel / (fov * n_cropped / n_encoded)


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
