"""Readouts sampled more densely than the field of view asks for: found, and cropped in image space."""

import numpy as np
from jaxtyping import Complex, Integer

GUARD = 2  # samples beside missing ones
AT_A_TIME = 1024  # readouts
OUTSIDE = 0.1  # of the signal, beyond the noise: less outside the middle of a readout is air


def fills(kspace: Complex[np.ndarray, "*readouts sample"], factor: float) -> bool:
    """Whether the image along whole readouts goes beyond the central 1 / factor of them; without clear signal, it does.

    What all pixels hold at least is taken for noise.
    """
    energy = (np.abs(np.fft.fftshift(np.fft.ifft(kspace, axis=-1), axes=-1)) ** 2).reshape(-1, kspace.shape[-1]).sum(0)
    energy = np.maximum(energy - np.percentile(energy, 10), 0)
    n = len(energy)
    half = round(n / factor / 2)
    inside = energy[n // 2 - half : n // 2 + half].sum()
    return bool(energy.sum() - inside > OUTSIDE * energy.sum())


def crop_readout(
    kspace: Complex[np.ndarray, "readout coil sample"], before: int, n_encoded: int, n: int
) -> tuple[Complex[np.ndarray, "readout coil kept"], Integer[np.ndarray, " kept"]]:
    """Keep the central `n` of `n_encoded` pixels of the readout direction, and those of its `n` samples known then.

    `before`: samples missing before the first. Beside missing samples the crop mixes their absence into `GUARD` of
    the others, which are left out. Returns k-space and its places on the grid of `n`, whose centre is at n // 2.
    """
    after = n_encoded - before - kspace.shape[-1]
    place = n // 2 + (np.array([before, n_encoded - after - 1]) - n_encoded // 2) * n / n_encoded
    first = int(np.ceil(place[0])) + GUARD if before else 0
    last = int(np.floor(place[1])) - GUARD if after else n - 1
    kept = np.arange(first, last + 1)
    start = n_encoded // 2 - n // 2
    result = np.empty((*kspace.shape[:-1], len(kept)), kspace.dtype)
    for begin in range(0, len(kspace), AT_A_TIME):
        part = kspace[begin : begin + AT_A_TIME]
        whole = np.pad(part, [(0, 0)] * (kspace.ndim - 1) + [(before, after)])
        image = np.fft.fftshift(np.fft.ifft(np.fft.ifftshift(whole, axes=-1), axis=-1, norm="ortho"), axes=-1)
        cropped = np.fft.fft(np.fft.ifftshift(image[..., start : start + n], axes=-1), axis=-1, norm="ortho")
        result[begin : begin + AT_A_TIME] = np.fft.fftshift(cropped, axes=-1)[..., kept]
    return result, kept
