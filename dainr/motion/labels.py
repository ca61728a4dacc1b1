"""Labels drawn on one frame, carried to all: areas and volumes over time, and the ejection fraction.

A label is the share of each pixel that it takes, seen by the Eulerian displacement from every frame back to that one:
its area is the sum of the shares, free of the steps of pixels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dainr.motion.displacement import Motion
from dainr.motion.sampling import seen

MAJORITY = 0.5  # share of a pixel from which it is a label's


def carried(shares: Float[np.ndarray, "label slice y x"], motion: Motion) -> Float[np.ndarray, "label slice frame y x"]:
    """The shares in every frame; `motion` is Eulerian, and its reference the frame the labels were drawn on."""
    assert motion.kind == "eulerian"
    found = [
        [[seen(one, step) for step in of_slice] for one, of_slice in zip(label, motion.displacement, strict=True)]
        for label in shares
    ]
    return np.array(found, np.float32)


def as_labels(
    shares: Float[np.ndarray, "label slice frame y x"], numbers: Int[np.ndarray, " label"]
) -> Int[np.ndarray, "slice frame y x"]:
    """The number of the label that takes most of each pixel, 0 where none takes half."""
    best = shares.argmax(0)
    return np.where(shares.max(0) >= MAJORITY, numbers[best], 0).astype(np.int16)


@dataclass(frozen=True, eq=False)
class Volumes:
    """How large one label is over time; volumes are those of its slices, as thick as they are apart."""

    areas: Float[np.ndarray, "slice frame"]  # mm^2
    thickness_mm: float

    @property
    def curve(self) -> Float[np.ndarray, " frame"]:
        """Volume of every frame, ml."""
        in_ml: np.ndarray = self.areas.sum(0) * self.thickness_mm / 1000
        return in_ml

    @property
    def end_diastole(self) -> int:
        """The frame in which it is largest."""
        return int(self.curve.argmax())

    @property
    def end_systole(self) -> int:
        """The frame in which it is smallest."""
        return int(self.curve.argmin())

    @property
    def summary(self) -> dict[str, float]:
        """End-diastolic, end-systolic and stroke volume (ml), ejection fraction (%), and their frames."""
        largest, smallest = float(self.curve.max()), float(self.curve.min())
        return {
            "end_diastolic_ml": largest,
            "end_systolic_ml": smallest,
            "stroke_ml": largest - smallest,
            "ejection_fraction_percent": 100 * (largest - smallest) / largest if largest > 0 else 0.0,
            "end_diastolic_frame": self.end_diastole,
            "end_systolic_frame": self.end_systole,
        }


def volumes(shares: Float[np.ndarray, "label slice frame y x"], motion: Motion) -> list[Volumes]:
    """Of every label."""
    dy, dx = motion.spacing_mm
    thickness = motion.slice_thickness_mm
    if motion.affine is not None and shares.shape[1] > 1:
        thickness = float(np.linalg.norm(motion.affine[:3, 2]))
    return [Volumes(label.sum((2, 3)) * dy * dx, thickness) for label in shares]
