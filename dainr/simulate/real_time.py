"""The beating heart over several heartbeats, measured as they come: with a deep breath, or with an extrasystole."""

from collections.abc import Sequence

import numpy as np

from dainr.simulate.phantom import Ellipse, Heartbeat, beating_heart, chest, contraction, shifted, steady

BREATH, BREATH_FROM, BREATH_TO = 0.055, 0.25, 0.80  # its depth along y, its beginning and end
BEATS = 4
LENGTH = 1 / BEATS  # of a heartbeat
# The extrasystole comes when the second beat has not ended; a pause follows until the fourth is due.
EXTRA = ((0.0, 1.0), (0.25, 1.0), (0.40, 0.45), (0.75, 1.0))  # beginning and strength of each beat


def breathing_thorax() -> list[Ellipse]:
    """Steady heartbeats, and one deep breath in and out that carries everything along y."""
    return shifted([*chest(), *beating_heart(steady(BEATS))], deep_breath)


def deep_breath(time: np.ndarray) -> np.ndarray:
    """How far the breath has carried everything: from nothing and back to it, smoothly."""
    share = np.clip((time - BREATH_FROM) / (BREATH_TO - BREATH_FROM), 0, 1)
    return BREATH * np.sin(np.pi * share) ** 2


def arrhythmic_thorax() -> list[Ellipse]:
    """Heartbeats of which one is early and weak, with a pause after it."""
    return [*chest(), *beating_heart(irregular(EXTRA))]


def irregular(beats: Sequence[tuple[float, float]]) -> Heartbeat:
    """Heartbeats of equal length, each with its beginning and strength; one may begin while another ends."""

    def beat(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        relaxed, swing = np.ones(len(time)), np.zeros(len(time))
        for start, strength in beats:
            phase = np.clip((time - start) / LENGTH, 0, 1)
            relaxed *= 1 - strength * contraction(phase)
            swing += strength * np.sin(2 * np.pi * phase)
        return 1 - relaxed, swing

    return beat
