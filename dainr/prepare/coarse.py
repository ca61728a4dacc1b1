"""Half the resolution of a prepared slice, by fewer coils: large steps of a fit that starts there cost little."""

from dataclasses import replace

import numpy as np
from jaxtyping import Complex

from dainr.prepare.compress import combine_coils, compression_matrix
from dainr.prepare.prepared import Prepared
from dainr.scan import K_MAX

SMALLEST = 32  # pixels a side worth halving to
COIL_LOSS = 0.03  # share of the signal that the coils left out may hold: no worse a start, in half its time


def halve(prepared: Prepared) -> Prepared | None:
    """The samples of the inner half of k-space on half the matrix over the same field of view, of fewer virtual coils.

    A pixel of the coarse image is centred on the four it stands for and holds their mean. None where the matrix is odd
    or small, or where a frame would be left without readouts.
    """
    ny, nx = prepared.matrix
    if ny % 2 or nx % 2 or min(ny, nx) < 2 * SMALLEST:
        return None
    inside = (np.abs(prepared.trajectory) <= K_MAX / 2 - 1 / max(ny, nx)).all(-1)
    rows = inside.any(1)
    columns = inside[rows].all(0)
    seen = rows & ~prepared.held_out
    if not columns.any() or len(np.unique(prepared.frame[seen])) < len(prepared.frame_times):
        return None
    trajectory = prepared.trajectory[rows][:, columns]
    centre = np.array([0.5 - n // 2 + 2 * (n // 2 // 2) for n in prepared.matrix])  # of coarse pixels, in fine ones
    shift = np.exp(2j * np.pi * (trajectory.astype(np.float64) @ centre)).astype(np.complex64)
    kspace = 0.5 * prepared.kspace[:, rows][..., columns] * shift  # a quarter of the pixels, half the norm
    virtual = _virtual_coils(kspace[:, ~prepared.held_out[rows]], 0.5 * prepared.noise_std)
    return replace(
        prepared,
        kspace=combine_coils(virtual, kspace),
        trajectory=2 * trajectory,
        density=2 * prepared.density[rows][:, columns],
        frame=prepared.frame[rows],
        frame_position=None if prepared.frame_position is None else prepared.frame_position[rows],
        held_out=prepared.held_out[rows],
        coil_maps=combine_coils(virtual, _mean_of_four(prepared.coil_maps)),
        matrix=(ny // 2, nx // 2),
        noise_std=0.5 * prepared.noise_std,
    )


def _virtual_coils(
    kspace: Complex[np.ndarray, "coil readout sample"], noise_std: float
) -> Complex[np.ndarray, "virtual coil"]:
    """The few combinations of coils that hold most of the signal."""
    matrix, _ = compression_matrix(kspace / (noise_std or 1), 0, COIL_LOSS)
    return matrix


def _mean_of_four(maps: Complex[np.ndarray, "coil y x"]) -> Complex[np.ndarray, "coil half_y half_x"]:
    return maps.reshape(len(maps), maps.shape[1] // 2, 2, maps.shape[2] // 2, 2).mean((2, 4))
