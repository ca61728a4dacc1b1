"""Which Cartesian line passes the k-space centre: as the header tells, unless the energy of lines says otherwise."""

import numpy as np
from jaxtyping import Complex, Float, Integer

from dainr.io.scans.decisions import Decisions

CLEARLY = 3.0  # times as much energy as the line told and those beside it has a centre that is believed instead
PEAK = 4.0  # times the median of all lines: less is no peak
FEWEST_LINES = 8
NEAR = 2  # lines from the strongest, a centre that some other rule gives may lie


def energy_of_lines(
    step: Integer[np.ndarray, " readout"], kspace: Complex[np.ndarray, "readout coil sample"]
) -> tuple[Integer[np.ndarray, " line"], Float[np.ndarray, " line"]]:
    """The lines that were measured, in order, and the mean energy of a readout of each."""
    parts = kspace.view(np.float32)  # real and imaginary: no array of absolute values
    energy = np.einsum("rcs,rcs->r", parts, parts, dtype=np.float64)
    lines, which = np.unique(step, return_inverse=True)
    return lines, np.bincount(which, energy) / np.bincount(which)


def central_line(
    measured: tuple[Integer[np.ndarray, " line"], Float[np.ndarray, " line"]],
    user: Integer[np.ndarray, " readout"],
    n_lines: int,
    told: int | None,
    decisions: Decisions,
) -> int:
    """The number of the central one of `n_lines` encoded lines, by the header or by what was measured.

    `user`: idx.user[5] of every readout, where siemens_to_ismrmrd writes it. A header that is wrong shifts k-space, and
    where lines are left out it tears them from their mirror images.
    """
    lines, energy = measured
    centre = n_lines // 2 if told is None else told
    strongest = int(lines[np.argmax(energy)])
    if len(lines) < FEWEST_LINES or not energy.max() > PEAK * np.median(energy):
        return centre
    near = np.abs(lines - centre) <= max(1, int(np.diff(lines).min()))
    if near.any() and energy.max() <= CLEARLY * energy[near].max():
        return centre
    by_siemens = int(user[0]) if (user == user[0]).all() and user[0] > 0 else None
    others = {  # ways to know it better, the likeliest first
        "the number that siemens_to_ismrmrd wrote": by_siemens,
        "lines up to the edge of k-space": int(lines[-1]) - (n_lines - 1 - n_lines // 2),
        "the middle of the encoded lines": n_lines // 2,
        "lines from the edge of k-space on": int(lines[0]) + n_lines // 2,
    }
    found, why = strongest, "the strongest line"
    for reason, line in others.items():
        if line is not None and abs(line - strongest) <= NEAR:
            found, why = line, f"the strongest line is {strongest}, and {reason}"
            break
    says = "tells none" if told is None else f"tells {told}"
    decisions.say(
        f"the k-space centre is taken at line {found} ({why}); the header {says}",
        centre_line=found,
        centre_line_told=told,
    )
    return found
