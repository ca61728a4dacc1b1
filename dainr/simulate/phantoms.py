"""The phantoms by name: what each is made of, and how its scan runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from dainr.simulate.bolus import perfused_thorax
from dainr.simulate.decay import decaying_organs
from dainr.simulate.phantom import Ellipse, beating_thorax
from dainr.simulate.real_time import arrhythmic_thorax, breathing_thorax
from dainr.simulate.texture import textured_motion, textured_thorax
from dainr.simulate.true_motion import Material, heart_and_chest


@dataclass(frozen=True)
class Phantom:
    """What is measured, for how long, and in how many frames as a rule."""

    ellipses: Callable[[], list[Ellipse]]
    seconds: float
    frames: int = 25
    is_heartbeat: bool = False  # the scan is one: times are cardiac phases
    measured: float = 1.0  # share of the time from frame to frame in which a frame is measured
    motion: Callable[[Sequence[Ellipse]], list[Material]] | None = (
        None  # what moves how, of its ellipses; None: unknown
    )


PHANTOMS = {
    "beating": Phantom(beating_thorax, 1.0, is_heartbeat=True, motion=heart_and_chest),
    "bolus": Phantom(perfused_thorax, 40.0, frames=40, measured=0.15),
    "decay": Phantom(decaying_organs, 60.0, frames=20),
    "breath": Phantom(breathing_thorax, 4.0, frames=60, motion=heart_and_chest),
    "extra-beat": Phantom(arrhythmic_thorax, 4.0, frames=60, motion=heart_and_chest),
    "textured": Phantom(textured_thorax, 1.0, is_heartbeat=True, motion=textured_motion),
}
DEFAULT_PHANTOM = "beating"


def readout_times(phantom: Phantom, frame: Int[np.ndarray, " readout"]) -> Float[np.ndarray, " readout"]:
    """When each readout is measured, as a share of the scan: evenly, within the part of a frame that is measured."""
    evenly = (np.arange(len(frame)) + 0.5) / len(frame)
    centre = frame_centres(int(frame.max()) + 1)[frame]
    return evenly if phantom.measured == 1 else centre + phantom.measured * (evenly - centre)


def frame_centres(n_frames: int) -> Float[np.ndarray, " frame"]:
    """The middle of each frame, as a share of the scan."""
    return (np.arange(n_frames) + 0.5) / n_frames
