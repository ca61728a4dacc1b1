"""Coil compression: fewer virtual coils that hold almost all of the signal's energy.

The virtual coils are the leading left singular vectors of the whitened k-space, so the noise stays white
(Buehrer et al., Magn Reson Med 2007;57:1131).
"""

import numpy as np
from jaxtyping import Complex

from dainr.errors import BadRequest


def compression_matrix(
    kspace: Complex[np.ndarray, "coil readout sample"], n_virtual: int
) -> tuple[Complex[np.ndarray, "virtual coil"], float]:
    """The compression to `n_virtual` coils and the share of the energy it keeps.

    Raises BadRequest when there are fewer coils than virtual coils asked for.
    """
    n_coils = len(kspace)
    if n_virtual > n_coils:
        raise BadRequest(
            f"virtual_coils={n_virtual}",
            f"the scan has only {n_coils} coils",
            f"choose at most {n_coils}, or 0 for all",
        )
    samples = kspace.reshape(n_coils, -1)
    energy, vectors = np.linalg.eigh((samples @ samples.conj().T).astype(np.complex128))
    order = np.argsort(energy)[::-1]
    kept = float(energy[order[:n_virtual]].sum() / max(energy.sum(), np.finfo(float).tiny))
    return vectors[:, order[:n_virtual]].conj().T.astype(np.complex64), kept


def combine_coils(matrix: Complex[np.ndarray, "virtual coil"], data: np.ndarray) -> np.ndarray:
    """The virtual coils of data whose first axis is the coil."""
    return np.tensordot(matrix, data, axes=1).astype(np.complex64)
