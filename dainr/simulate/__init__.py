"""Simulated scans: a phantom with analytic k-space, a given cine or a random scene, measured as a scanner would."""

from dainr.simulate.phantoms import DEFAULT_PHANTOM, PHANTOMS
from dainr.simulate.scene_scans import SceneConfig, simulate_scene
from dainr.simulate.simulate import SimulationConfig, simulate_cine, simulate_phantom, true_displacement

__all__ = [
    "DEFAULT_PHANTOM",
    "PHANTOMS",
    "SceneConfig",
    "SimulationConfig",
    "simulate_cine",
    "simulate_phantom",
    "simulate_scene",
    "true_displacement",
]
