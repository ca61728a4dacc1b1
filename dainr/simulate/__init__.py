"""Simulated scans: a beating phantom with analytic k-space, or a given cine, measured as a scanner would."""

from dainr.simulate.simulate import SimulationConfig, simulate_cine, simulate_phantom

__all__ = ["SimulationConfig", "simulate_cine", "simulate_phantom"]
