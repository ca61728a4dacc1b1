"""Coil compression: fewer virtual coils that hold almost all of the signal's energy.

The virtual coils are the leading left singular vectors of the whitened k-space, so the noise stays white
(Buehrer et al., Magn Reson Med 2007;57:1131).
"""

import numpy as np
from jaxtyping import Complex

from dainr.errors import BadRequest


def compression_matrix(
    kspace: Complex[np.ndarray, "coil readout sample"], n_virtual: int, loss: float = 0.0
) -> tuple[Complex[np.ndarray, "virtual coil"], float]:
    """The compression of whitened k-space to `n_virtual` coils and the share of the energy it keeps.

    `n_virtual` 0: as few as lose no more than this share of the signal, which is what the energy has beyond that of
    noise of unit variance. Raises BadRequest when there are fewer coils than virtual coils asked for.
    """
    n_coils = len(kspace)
    if n_virtual > n_coils:
        raise BadRequest(
            f"virtual_coils={n_virtual}",
            f"the scan has only {n_coils} coils",
            f"choose at most {n_coils}, or 0 for as many as the signal needs",
        )
    samples = kspace.reshape(n_coils, -1)
    energy, vectors = np.linalg.eigh((samples @ samples.conj().T).astype(np.complex128))
    order = np.argsort(energy)[::-1]
    if not n_virtual:
        signal = np.clip(energy[order] - samples.shape[1], 0, None)
        left_out = signal.sum() - np.cumsum(signal)  # beside the first, the first two, ...
        n_virtual = 1 + int(np.argmax(left_out <= loss * signal.sum()))
    kept = float(energy[order[:n_virtual]].sum() / max(energy.sum(), np.finfo(float).tiny))
    return vectors[:, order[:n_virtual]].conj().T.astype(np.complex64), kept


def combine_coils(matrix: Complex[np.ndarray, "virtual coil"], data: np.ndarray) -> np.ndarray:
    """The virtual coils of data whose first axis is the coil."""
    return np.tensordot(matrix, data, axes=1).astype(np.complex64)
