"""Which Cartesian line passes the k-space centre: as the header tells, unless the energy of lines says otherwise."""

import numpy as np
from jaxtyping import Complex, Float, Integer

from dainr.io.scans.decisions import Decisions

CLEARLY = 1.5  # times as much energy as the line told and those beside it has a centre that is believed instead
PEAK = 4.0  # times the median of all lines: less is no peak
FEWEST_LINES = 8
NEAR = 1  # lines from the strongest, a centre that some other rule gives may lie


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
    near = np.abs(lines - centre) <= max(1, _gap(lines, centre))
    of_told = float(energy[near].max()) if near.any() else 0.0
    peaked = len(lines) >= FEWEST_LINES and energy.max() > PEAK * np.median(energy)
    by_siemens = int(user[0]) if (user == user[0]).all() and user[0] > 0 else None
    if peaked and energy.max() > CLEARLY * of_told:
        found, why = _better(lines, int(lines[np.argmax(energy)]), n_lines, by_siemens)
    elif by_siemens is not None and energy[np.abs(lines - by_siemens).argmin()] > of_told:
        found, why = by_siemens, "the number that siemens_to_ismrmrd wrote, where lines are stronger"
    else:
        return centre
    says = "tells none" if told is None else f"tells {told}"
    decisions.say(
        f"the k-space centre is taken at line {found} ({why}); the header {says}",
        centre_line=found,
        centre_line_told=told,
    )
    return found


def _better(
    lines: Integer[np.ndarray, " line"], strongest: int, n_lines: int, by_siemens: int | None
) -> tuple[int, str]:
    """The central line by the strongest one, or by a rule that agrees with it and knows it better; and why."""
    dense = len(lines) == int(lines[-1]) - int(lines[0]) + 1  # else the edge need not be among the lines
    others = {  # the likeliest first
        "the number that siemens_to_ismrmrd wrote": by_siemens,
        "lines up to the edge of k-space": int(lines[-1]) - (n_lines - 1 - n_lines // 2) if dense else None,
        "the middle of the encoded lines": n_lines // 2,
    }
    for reason, line in others.items():
        if line is not None and abs(line - strongest) <= NEAR:
            return line, f"the strongest line is {strongest}, and {reason}"
    return strongest, "the strongest line"


def _gap(lines: Integer[np.ndarray, " line"], centre: int) -> int:
    """How far the measured lines on either side of a line are from it; 0 where there is none on one."""
    before, after = lines[lines <= centre], lines[lines >= centre]
    return max(centre - int(before[-1]), int(after[0]) - centre) if len(before) and len(after) else 0
