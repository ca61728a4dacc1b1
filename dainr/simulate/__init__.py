"""Simulated scans: a phantom with analytic k-space, or a given cine, measured as a scanner would."""

from dainr.simulate.phantoms import DEFAULT_PHANTOM, PHANTOMS
from dainr.simulate.simulate import SimulationConfig, simulate_cine, simulate_phantom

__all__ = ["DEFAULT_PHANTOM", "PHANTOMS", "SimulationConfig", "simulate_cine", "simulate_phantom"]
