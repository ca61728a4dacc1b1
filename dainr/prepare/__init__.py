"""From a scan to what a fit reads: whitened, compressed, with coil maps, densities, scale and held-out readouts."""

from dainr.prepare.prepared import PrepareConfig, Prepared
from dainr.prepare.steps import prepare_slice

__all__ = ["PrepareConfig", "Prepared", "prepare_slice"]
