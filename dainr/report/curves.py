"""Curves of what was tracked through the series, as SVG: volumes of labels, strain of walls."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from dainr.motion.labels import Volumes
from dainr.motion.strain import SECTORS, WallStrain
from dainr.report.figures import GREY, axes, svg

COLOURS = ("#1f5f99", "#c8641e", "#1e7a46", "#8a3f9e", "#b3261e", "#5b636d")


def volume_curves(found: Mapping[int, Volumes], times: Float[np.ndarray, " frame"]) -> str:
    """Volume of every label over time."""
    with axes(2.9) as (figure, axis):
        for place, (number, one) in enumerate(found.items()):
            colour = COLOURS[place % len(COLOURS)]
            axis.plot(times, one.curve, color=colour, lw=1.6, marker="o", ms=3, label=f"label {number}")
            for frame in (one.end_diastole, one.end_systole):
                axis.plot(times[frame], one.curve[frame], "o", ms=9, mfc="none", mec=colour)
        axis.set(xlabel="time, s", ylabel="volume, ml", ylim=(0, None))
        axis.legend(frameon=False, fontsize=8)
        return svg(figure)


def strain_curves(strain: WallStrain, times: Float[np.ndarray, " frame"]) -> str:
    """Radial and circumferential strain of the six sectors, and of the whole wall, of one slice."""
    with axes(5.0, rows=2) as (figure, both):
        for axis, (direction, means) in zip(both, strain.means().items(), strict=True):
            axis.axhline(0, color=GREY, lw=0.8)
            for number in range(1, SECTORS + 1):
                axis.plot(times, 100 * means[number], color=COLOURS[number - 1], lw=1.1, label=f"sector {number}")
            axis.plot(times, 100 * means[0], color="#1b1f24", lw=2.2, label="wall")
            axis.set(ylabel=f"{direction} strain, %")
        both[0].legend(frameon=False, fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        both[1].set(xlabel="time, s")
        return svg(figure)
