"""dainr: one undersampled dynamic MRI scan in, a cine volume out, by fitting a neural field to that scan alone."""

import os

# Spinning OpenMP threads make two-core machines crawl; a value the user set wins. Must precede the first torch import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
